//! Moves the work of a call off the thread that serves everybody.

use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Runs work here until it has read a large response, and what is left of it on a thread of its own: to decode, search and
/// write out such a response takes longer than others should wait. Returns nothing if the work panicked there.
///
/// The work ends where it is dropped, on either thread.
pub(super) async fn offload<T: Send + 'static>(
    mut work: BoxFuture<'static, T>,
    large_response_read: &Notify,
) -> Option<T> {
    tokio::select! {
        biased;
        result = &mut work => return Some(result),
        () = large_response_read.notified() => {}
    }
    let dropped = CancellationToken::new();
    let _guard = dropped.clone().drop_guard();
    let runtime = Handle::current();
    let rest = tokio::task::spawn_blocking(move || {
        runtime.block_on(async move { dropped.run_until_cancelled_owned(work).await })
    });
    rest.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use futures::FutureExt;
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
        assert_eq!(offload(work.boxed(), &read).await, Some(here));
        let notified = Arc::clone(&read);
        let work = async move {
            notified.notify_one();
            yield_now().await;
            thread::current().id()
        };
        let there = offload(work.boxed(), &read).await;
        assert!(there.is_some() && there != Some(here));
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
        {
            let offloaded = offload(work.boxed(), &read);
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
        assert_eq!(offload::<()>(work.boxed(), &read).await, None);
    }
}
