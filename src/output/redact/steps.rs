//! Counts the steps of redaction, for the tests of their bounds.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts steps.
pub(super) fn add(steps: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps);
    #[cfg(not(test))]
    let _ = steps;
}

/// The steps that some work takes.
#[cfg(test)]
pub(super) fn count<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = STEPS.get();
    let result = work();
    (result, STEPS.get() - before)
}
