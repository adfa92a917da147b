//! Moves the work of a call off the thread that serves everybody.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, Semaphore};

/// Fewer threads would let one large response delay all others.
const MIN_THREADS: usize = 2;
/// What is decoded from a response takes several times its size, on each of them.
const MAX_THREADS: usize = 16;

/// The threads for the work on large responses: as many as there are processors. More would finish nothing earlier, and what
/// is decoded of a response, the most memory that a call takes, exists on these threads alone.
pub(super) fn threads() -> Arc<Semaphore> {
    let processors = std::thread::available_parallelism().map_or(MIN_THREADS, usize::from);
    Arc::new(Semaphore::new(processors.clamp(MIN_THREADS, MAX_THREADS)))
}

/// Runs work here until it has read a large response, and what is left of it on other threads: to decode, search and write
/// out such a response takes longer than others should wait. While the work itself waits, it holds no thread. Returns
/// nothing if it panicked there.
///
/// The work ends where it is dropped, on any thread.
pub(super) async fn offload<T: Send + 'static>(
    mut work: BoxFuture<'static, T>,
    large_response_read: &Notify,
    threads: &Arc<Semaphore>,
) -> Option<T> {
    tokio::select! {
        biased;
        result = &mut work => return Some(result),
        () = large_response_read.notified() => {}
    }
    let woken = Arc::new(Woken::default());
    loop {
        let thread = Arc::clone(threads).acquire_owned().await.ok()?;
        let waker = Waker::from(Arc::clone(&woken));
        let step = tokio::task::spawn_blocking(move || {
            // Until this step ends, even if nobody waits for it any more.
            let _thread = thread;
            match work.poll_unpin(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => Ok(result),
                Poll::Pending => Err(work),
            }
        });
        match step.await.ok()? {
            Ok(result) => return Some(result),
            Err(rest) => work = rest,
        }
        woken.0.notified().await;
    }
}

/// Wakes work that waits for its next step.
#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use futures::future::join_all;
    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn work_moves_once_a_large_response_was_read() {
        let here = thread::current().id();
        let read = Arc::new(Notify::new());
        let work = async {
            yield_now().await;
            thread::current().id()
        };
        assert_eq!(offload(work.boxed(), &read, &threads()).await, Some(here));
        let notified = Arc::clone(&read);
        let work = async move {
            notified.notify_one();
            yield_now().await;
            let first = thread::current().id();
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            [first, thread::current().id()]
        };
        let there = offload(work.boxed(), &read, &threads()).await;
        assert!(!there.unwrap().contains(&here));
    }

    #[tokio::test]
    async fn moved_work_ends_when_it_is_dropped() {
        let read = Notify::new();
        read.notify_one();
        let (held, dropped) = oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        let threads = threads();
        {
            let offloaded = offload(work.boxed(), &read, &threads);
            tokio::pin!(offloaded);
            // Until it has moved.
            assert!(futures::poll!(&mut offloaded).is_pending());
        }
        assert!(dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_panic_of_moved_work_is_reported() {
        let read = Notify::new();
        read.notify_one();
        let work = async {
            yield_now().await;
            panic!("on purpose");
        };
        assert_eq!(offload::<()>(work.boxed(), &read, &threads()).await, None);
    }

    /// What each step holds exists no more often than there are threads, whatever waits between the steps.
    #[tokio::test]
    async fn as_many_steps_at_a_time_as_there_are_threads() {
        static STEPS: AtomicUsize = AtomicUsize::new(0);
        let threads = Arc::new(Semaphore::new(2));
        let (waiting, all_waiting) = (Arc::new(Semaphore::new(0)), 16);
        let calls = (0..all_waiting).map(|_| {
            let (threads, waiting) = (Arc::clone(&threads), Arc::clone(&waiting));
            async move {
                let read = Notify::new();
                read.notify_one();
                let work = async move {
                    yield_now().await;
                    assert!(STEPS.fetch_add(1, Ordering::SeqCst) < 2);
                    thread::yield_now();
                    STEPS.fetch_sub(1, Ordering::SeqCst);
                    // Nobody gets here before all of them have: those that wait hold no thread.
                    waiting.add_permits(1);
                    let _all = waiting.acquire_many(all_waiting).await.unwrap();
                };
                offload(work.boxed(), &read, &threads).await
            }
        });
        assert_eq!(join_all(calls).await, vec![Some(()); 16]);
    }
}
