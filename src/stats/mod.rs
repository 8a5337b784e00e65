//! What is counted, by name; reading is always a copy.
