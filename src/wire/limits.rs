//! Bounds on what a peer may send, each with its default and why.

/// Bounds of one channel's decoder. Past one the channel is closed with an error report.
#[derive(Clone, Debug)]
pub struct WireLimits {
    /// Bytes of one message after framing is removed. The reference has none; 20 MB messages are
    /// known to work there.
    pub message_bytes_max: usize,
    /// Bytes of a token. Deployed peers use decimal counters; the reference keeps 255.
    pub token_bytes_max: usize,
    /// Bytes of a service, command or event name. The reference keeps 255.
    pub name_bytes_max: usize,
    /// Bytes of a JSON argument other than binary data (strings, objects, numbers).
    pub argument_bytes_max: usize,
    /// Nesting of a JSON argument.
    pub json_depth_max: usize,
    /// A BIN block of at least so many bytes is received where it will stay.
    pub large_block_bytes_min: usize,
    /// Data of at least so many bytes is kept in the buffer it came in. That holds the whole
    /// buffer, so this is a quarter of one.
    pub kept_bytes_min: usize,
}

impl Default for WireLimits {
    fn default() -> WireLimits {
        WireLimits {
            message_bytes_max: 32 << 20,
            token_bytes_max: 1024,
            name_bytes_max: 1024,
            argument_bytes_max: 64 << 10,
            json_depth_max: 32,
            large_block_bytes_min: 2048,
            kept_bytes_min: 16 << 10,
        }
    }
}
