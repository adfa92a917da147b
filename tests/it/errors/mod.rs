//! What a model reads when a call fails. That no error contains the key is checked on every call.

mod connection;
mod credentials;
mod faults;
mod invalid_responses;
mod rejected_requests;
mod retries;
