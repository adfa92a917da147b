//! The HTTP side of the sandbox: takes requests in, lets faults strike, sends answers out. Knows
//! nothing of what the answers mean.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State as Extracted};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connection::{CuttableListener, Line};
use super::control;
use super::faults::FaultKind;
use super::incoming::Incoming;
use super::state::State;

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) state: Arc<Mutex<State>>,
    /// True, or closed, once the sandbox stops.
    pub(super) stop: watch::Receiver<bool>,
}

/// A panic in one handler must not silence all that come after it.
pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn spawn(listener: TcpListener, shared: Shared) {
    let mut stop = shared.stop.clone();
    let service = Router::new()
        .fallback(handle)
        .with_state(shared)
        .into_make_service_with_connect_info::<Line>();
    tokio::spawn(async move {
        let stopped = async move {
            // An error means that the last handle is gone, which is a way to stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let server = axum::serve(CuttableListener(listener), service);
        let _ = server.with_graceful_shutdown(stopped).await;
    });
}

async fn handle(
    Extracted(shared): Extracted<Shared>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    line.mend();
    let Some(incoming) = Incoming::read(request).await else {
        return Response::default();
    };
    if let Some(answer) = control::answer(&mut lock(&shared.state), &incoming) {
        return answer.into_response();
    }
    let fault = {
        let mut state = lock(&shared.state);
        state.record(&incoming);
        state.faults.strike(&incoming)
    };
    if let Some(answer) = fault.as_ref().and_then(FaultKind::canned) {
        return answer.into_response();
    }
    match &fault {
        Some(FaultKind::Stall) => {
            let mut stop = shared.stop.clone();
            tokio::select! {
                () = pending() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            line.cut_after(0);
            return Response::default();
        }
        Some(FaultKind::DropBeforeEffect) => {
            line.cut_after(0);
            return Response::default();
        }
        Some(FaultKind::DropAfterEffect) => line.cut_after(0),
        Some(FaultKind::CutResponse { after_bytes }) => line.cut_after(*after_bytes),
        _ => {}
    }
    let answer = lock(&shared.state).answer(&incoming);
    match fault {
        Some(FaultKind::Delay(time)) => {
            tokio::time::sleep(time).await;
            answer.into_response()
        }
        Some(FaultKind::AlterResponse(how)) => how.response(answer),
        _ => answer.into_response(),
    }
}
