//! What one party makes the broker hold.

use crate::id::Token;
use crate::stream::home::{Owner, Stream};
use crate::stream::meta::Meta;
use crate::stream::park::ParkedWrite;
use crate::stream::parties::{Attachment, Found};
use crate::stream::readers::{ParkedRead, Reader};
use crate::stream::view::View;
use crate::stream::{Properties, StreamReport};

/// What a table or a queue of the allocator's takes of an entry, at most: tables are half empty at
/// times, and an allocation has a head.
const fn entry_bytes(size: usize) -> u64 {
    2 * size as u64 + 32
}

/// An attachment: its entry, its reader, and its share of a view, whether it has one or not.
pub(super) const ATTACHMENT_BYTES: u64 = entry_bytes(std::mem::size_of::<Attachment>())
    + entry_bytes(std::mem::size_of::<Reader>())
    + entry_bytes(std::mem::size_of::<View>());

/// A subscription without its type: its entries here and on each other worker.
const SUBSCRIPTION_BYTES: u64 = 512;

/// A stream without its bytes and its names.
const STREAM_BYTES: u64 = entry_bytes(std::mem::size_of::<Stream>())
    + std::mem::size_of::<Meta>() as u64
    + std::mem::size_of::<Owner>() as u64;

/// A parked read, but for a long token.
pub(super) const READ_BYTES: u64 = entry_bytes(std::mem::size_of::<ParkedRead>());

/// A parked write or end, but for its bytes and a long token.
pub(super) const WRITE_BYTES: u64 = entry_bytes(std::mem::size_of::<ParkedWrite>());

/// A stream that a subscription will tell of.
pub(super) const FOUND_BYTES: u64 = entry_bytes(std::mem::size_of::<Found>());

/// A stream in a list under way, as the core has it and as the text that it becomes, but for its
/// names.
const LISTED_BYTES: u64 = entry_bytes(std::mem::size_of::<StreamReport>()) + 512;

/// What one party makes the broker hold, in bytes: names, tables, tokens, parked and half
/// commands, and what waits to be sent to it alone. Changed by
/// [`Budget`](crate::stream::budget::Budget), which has the sum.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) held: u64,
}

/// What a stream with these properties costs beside its bytes.
pub(super) fn stream_bytes(properties: &Properties) -> u64 {
    let optional = [&properties.context, &properties.name, &properties.key];
    let names = optional.into_iter().flatten().map(String::len).sum::<usize>();
    STREAM_BYTES + (properties.stream_type.len() + names) as u64
}

/// What a subscription costs.
pub(super) fn subscription_bytes(stream_type: &str) -> u64 {
    SUBSCRIPTION_BYTES + stream_type.len() as u64
}

/// What one stream in a list costs until it has been sent.
pub(super) fn listed_bytes(report: &StreamReport) -> u64 {
    let owner = report.owner.as_ref().map_or(0, |owner| owner.len());
    let name = report.name.as_ref().map_or(0, |name| name.len());
    let context = report.context.as_ref().map_or(0, |context| context.len());
    LISTED_BYTES + 2 * (report.stream_type.len() + owner + name + context) as u64
}

/// What a parked write costs.
pub(super) fn write_bytes(token: &Token, size: u64) -> u64 {
    WRITE_BYTES + token.heap_bytes() + size
}
