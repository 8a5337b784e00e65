//! Readers that take nothing: what becomes of them when their time is over.

use crate::stream::front::Front;
use crate::stream::log::Log;
use crate::stream::meta::Meta;
use crate::stream::readers::{Reader, Readers, Stall};
use crate::stream::{Happening, Notice, Reply};
use crate::time::Instant;

impl Front {
    /// Looks for readers of one stream whose time is over: in one that has been full since
    /// `full_since` they hold the buffer no longer; from a disposed one they are let go, so that it
    /// does not live on for them.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        meta: &Meta,
        readers: &mut Readers,
        log: &Log,
        full_since: Option<Instant>,
        let_go_from: Option<Instant>,
    ) {
        if let Some(since) = full_since {
            let stalls = readers.expire_stalls(now, since, log.end());
            self.note_stalls(meta, stalls);
        }
        let Some(from) = let_go_from.filter(|from| *from <= now) else { return };
        for reader in readers.let_go(now, from, log.end()) {
            self.let_go(now, meta, readers, reader);
        }
    }

    /// Tells a reader that was let go the end, and what it lost: with its next reads.
    fn let_go(&mut self, now: Instant, meta: &Meta, readers: &mut Readers, reader: Reader) {
        let mut reader = reader;
        let channel = reader.channel;
        let Some(party) = self.parties.get_mut(channel) else { return };
        let lost = reader.untold();
        readers.delivery.count(party.door, reader.stall_timeout.into(), 0, lost);
        for read in &reader.reads {
            party.unpark_read(&read.token, &mut self.budget);
        }
        self.stalls += 1;
        self.notices.push(Notice {
            stream: meta.id,
            stream_type: meta.stream_type.clone(),
            channel,
            peer: party.peer.clone(),
            introduction: party.introduction.clone(),
            stall_timeout: reader.stall_timeout,
            what: Happening::LetGo { lost, silent_for: now.since(reader.progress_at) },
        });
        while let Some(read) = reader.serve_end() {
            let reply =
                Reply::Read { data: read.data, error: None, lost: read.lost, eos: read.eos };
            self.reply(channel, read.token, reply);
        }
        self.finish_reader(&reader, meta.id);
        let party = self.parties.get_mut(channel);
        if let Some(attachment) = party.and_then(|party| party.attachments.get_mut(&meta.id)) {
            attachment.untold = reader.untold();
        }
    }

    /// Notes readers that have become lagging.
    pub(super) fn note_stalls(&mut self, meta: &Meta, stalls: Vec<Stall>) {
        for Stall { channel, stall_timeout, lag, silent_for } in stalls {
            self.stalls += 1;
            let Some(party) = self.parties.get(channel) else { continue };
            self.notices.push(Notice {
                stream: meta.id,
                stream_type: meta.stream_type.clone(),
                channel,
                peer: party.peer.clone(),
                introduction: party.introduction.clone(),
                stall_timeout,
                what: Happening::Stalled { lag, silent_for },
            });
        }
    }
}
