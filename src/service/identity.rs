//! What the broker says of itself.

/// What the broker says of itself to its peers (`Locator.getAgentID`, `getPeers`).
#[derive(Clone, Debug)]
pub struct Identity {
    /// UUID of this process.
    pub agent_id: String,
    /// A name for people.
    pub name: String,
    /// The addresses that the broker listens on, as `HOST`, `PORT`.
    pub listens: Vec<(String, u16)>,
}
