//! Error messages for the model. Every call also checks that the result does not contain the API key.

mod connection;
mod credentials;
mod faults;
mod invalid_responses;
mod rejected_requests;
mod retries;
