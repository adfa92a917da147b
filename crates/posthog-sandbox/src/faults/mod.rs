//! Injected faults: which requests they hit, and what they do to the connection or the response.

mod fault;
mod response_faults;

pub use fault::{Fault, FaultKind};
pub use response_faults::ResponseFault;

pub(crate) use fault::FaultQueue;
