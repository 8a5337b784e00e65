//! Shows that the model has teeth.
