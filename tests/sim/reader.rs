//! One channel's place in a stream, by what its replies have shown.

use crate::model::{Complaint, Stream, is_pattern};

/// A reader's account. Where it started is told by `attach` and not by `connect`; in a patterned
/// stream the bytes themselves tell.
#[derive(Debug)]
pub struct Reader {
    /// Where it may stand; `None` is anywhere.
    pub places: Option<Vec<u64>>,
    /// Milliseconds; `None` is for ever, and then nothing may be lost.
    pub stall: Option<u64>,
    pub got: u64,
    pub lost: u64,
    pub has_end: bool,
    /// Whether its account began with what the model knows of it.
    pub is_uncertain: bool,
    /// The bytes of a stream of records, a gap standing for what was lost.
    pub run: Vec<Option<u8>>,
}

impl Reader {
    /// A reader that may have been one before, or may not be one.
    pub fn uncertain() -> Reader {
        Reader { is_uncertain: true, ..Reader::anywhere(Some(0)) }
    }

    pub fn anywhere(stall: Option<u64>) -> Reader {
        Reader {
            places: None,
            stall,
            got: 0,
            lost: 0,
            has_end: false,
            is_uncertain: false,
            run: Vec::new(),
        }
    }

    pub fn at(position: u64, stall: Option<u64>) -> Reader {
        Reader { places: Some(vec![position]), ..Reader::anywhere(stall) }
    }

    /// The place, where only one is possible.
    pub fn place(&self) -> Option<u64> {
        match self.places.as_deref() {
            Some([place]) => Some(*place),
            _ => None,
        }
    }

    pub fn take(
        &mut self,
        id: u64,
        stream: &mut Stream,
        data: &[u8],
        lost: u64,
        eos: bool,
    ) -> Result<(), Complaint> {
        if lost > 0 && self.stall.is_none() {
            return Err(format!("{lost} bytes lost where nothing may be"));
        }
        let len = data.len() as u64;
        if stream.spec.is_patterned {
            let before = self.places.take().unwrap_or_else(|| (0..=stream.handed).collect());
            let after: Vec<u64> = before
                .iter()
                .map(|place| place + lost)
                .filter(|place| place + len <= stream.handed && is_pattern(id, *place, data))
                .map(|place| place + len)
                .collect();
            if after.is_empty() {
                return Err(format!("{len} bytes, {lost} lost, do not belong at {before:?}"));
            }
            self.places = Some(after);
        } else {
            if lost > 0 {
                self.run.push(None);
            }
            self.run.extend(data.iter().map(|byte| Some(*byte)));
            if let Some(place) = self.place() {
                stream.see(place + lost, data)?;
                self.places = Some(vec![place + lost + len]);
            }
        }
        self.got += len;
        self.lost += lost;
        if self.has_end && (len > 0 || lost > 0) {
            return Err("bytes behind the end".to_owned());
        }
        self.has_end |= eos;
        if let (true, Some(place)) = (eos, self.place()) {
            let end = *stream.end.get_or_insert(place);
            let is_odd = stream.spec.is_patterned && !stream.may_end_at(end);
            if end != place || is_odd || (stream.spec.is_patterned && place < stream.acked) {
                let acked = stream.acked;
                return Err(format!("the end at {place}; it was {end}, {acked} are accepted"));
            }
        }
        Ok(())
    }
}
