//! Peers that make the broker hold what it can be made to hold. They are promised little: their
//! commands are answered, with error 4 where a bound is reached, or they are not listened to.

use rand::Rng;
use rand::rngs::SmallRng;
use weir::stream::Direction;

use crate::asked::{Asked, Spec};
use crate::habits::{Scale, TYPES, pick};
use crate::model::Model;
use crate::peer::Peer;

/// Streams that all hostile peers of one run create.
const STREAMS_MAX: usize = 60;

/// Commands that one may leave unanswered.
const PENDING_MAX: usize = 150;

/// Characters of a token, and one more than its bound.
const TOKEN_CHARS: [usize; 4] = [1, 300, 1024, 1025];

/// What a hostile peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Creates streams and subscribes to types with names as long as may be, and a byte longer.
    Names,
    /// Subscribes to everything.
    Subscribes,
    /// Asks for lists and reads, with tokens as long as may be, and a byte longer.
    Asks,
    /// Begins a message and does not end it.
    Halves,
    /// Creates and disposes, so that others hear of much.
    Churns,
}

impl Habit {
    const ALL: [Habit; 5] =
        [Habit::Names, Habit::Subscribes, Habit::Asks, Habit::Halves, Habit::Churns];

    pub fn any(rng: &mut SmallRng) -> Habit {
        Habit::ALL[rng.random_range(0..Habit::ALL.len())]
    }

    /// Whether a new connection of such a peer takes anything in.
    pub fn reads(self, rng: &mut SmallRng) -> bool {
        match self {
            Habit::Churns => true,
            Habit::Names | Habit::Halves => rng.random_bool(0.5),
            Habit::Subscribes | Habit::Asks => false,
        }
    }
}

/// A name of so many bytes that nobody else uses.
fn long_name(index: usize, len: usize) -> String {
    let mut name = format!("name {index} ");
    let rest = len.saturating_sub(name.len());
    name.extend(std::iter::repeat_n('n', rest));
    name
}

/// The length of a name: up to the bound, or a byte more.
fn name_len(scale: Scale, rng: &mut SmallRng) -> usize {
    match rng.random_range(0..20) {
        0 => scale.name_bytes + 1,
        1..4 => scale.name_bytes,
        _ => rng.random_range(0..scale.name_bytes),
    }
}

impl Peer {
    pub fn act_as_hostile(
        &mut self,
        habit: Habit,
        model: &mut Model,
        scale: Scale,
        rng: &mut SmallRng,
    ) {
        let Some(link) = &mut self.link else { return };
        let key = link.key;
        if model.channel(key).pending.len() >= PENDING_MAX {
            return;
        }
        let all: Vec<u64> = model.streams.keys().copied().collect();
        let dice = rng.random_range(0..100);
        match habit {
            Habit::Names if dice < 60 => self.create_named(model, scale, rng),
            Habit::Names => {
                let wanted = long_name(rng.random_range(0..9), name_len(scale, rng));
                self.says_name(wanted.len(), scale);
                self.ask(model, Asked::Subscribe(wanted), rng);
            }
            Habit::Subscribes if dice < 40 => {
                self.ask(model, Asked::Subscribe("*".to_owned()), rng)
            }
            Habit::Subscribes => {
                let wanted = TYPES[rng.random_range(0..TYPES.len())].to_owned();
                self.ask(model, Asked::Subscribe(wanted), rng);
            }
            Habit::Asks => {
                let chars = if dice == 0 { 3 } else { rng.random_range(0..3) };
                link.token_chars = TOKEN_CHARS[chars];
                link.sent_nonsense |= link.token_chars > 1024;
                let stream = pick(rng, &all);
                let asked = match stream {
                    Some(stream) if dice < 20 => Asked::Connect(stream),
                    Some(stream) if dice < 60 => Asked::Read { stream, size: 3 * scale.bytes },
                    _ if dice < 70 => Asked::Sync,
                    _ => Asked::List,
                };
                self.ask(model, asked, rng);
            }
            Habit::Halves => {
                let len = rng.random_range(0..20 * scale.bytes as usize);
                let mut half = b"C\0half\0Streams\0write\0\"VS0\"\099999\0\"".to_vec();
                half.extend(std::iter::repeat_n(b'A', len));
                link.say(&half);
                link.is_half = true;
            }
            Habit::Churns => {
                let owned = model.streams.iter().filter(|(_, s)| s.owners.contains(&key));
                let owned: Vec<u64> = owned.map(|(id, _)| *id).collect();
                match pick(rng, &owned) {
                    Some(stream) if dice < 50 => self.ask(model, Asked::Dispose(stream), rng),
                    _ => self.create_named(model, scale, rng),
                }
            }
        }
    }

    /// The broker will close a channel that says a name of so many bytes, if that is too long.
    fn says_name(&mut self, bytes: usize, scale: Scale) {
        if let Some(link) = &mut self.link {
            link.sent_nonsense |= bytes > scale.name_bytes;
        }
    }

    /// Creates a stream with a long type or a long key.
    fn create_named(&mut self, model: &mut Model, scale: Scale, rng: &mut SmallRng) {
        let serial = model.specs.len();
        if serial >= STREAMS_MAX {
            return;
        }
        let stream_type = match rng.random_bool(0.5) {
            true => long_name(serial, name_len(scale, rng)),
            false => TYPES[rng.random_range(0..TYPES.len())].to_owned(),
        };
        self.says_name(stream_type.len(), scale);
        let key_len = rng.random_range(0..scale.name_bytes - 400);
        let buffer = rng.random_range(1..=scale.bytes);
        model.specs.push(Spec {
            stream_type,
            direction: [Direction::Out, Direction::In, Direction::Bus][rng.random_range(0..3)],
            buffer,
            history: rng.random_range(0..=buffer),
            stall: Some(rng.random_range(0..200)),
            hold: rng.random_bool(0.2),
            linger: rng.random_range(0..500),
            key: rng.random_bool(0.5).then(|| long_name(serial, key_len)),
            keep_for: rng.random_range(0..2000),
            is_patterned: false,
            agent: self.index,
            asked_at: model.step,
        });
        self.ask(model, Asked::Create(serial), rng);
    }
}
