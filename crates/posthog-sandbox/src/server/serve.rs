//! Serves connections: reads requests, applies the injected faults, writes responses.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::response::Response as HttpResponse;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::admin;
use super::dispatch::SandboxState;
use crate::faults::FaultKind;
use crate::http::{Connection, ConnectionListener, Request};

#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) state: Arc<Mutex<SandboxState>>,
    /// True, or closed, once the sandbox stops.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Locks the state even after a panic in a handler, so that later requests still get a response.
pub(crate) fn lock(state: &Mutex<SandboxState>) -> MutexGuard<'_, SandboxState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn spawn(listener: TcpListener, app: AppState) {
    let mut stop = app.stop.clone();
    let service = Router::new()
        .fallback(handle)
        .with_state(app)
        .into_make_service_with_connect_info::<Connection>();
    tokio::spawn(async move {
        let stopped = async move {
            // An error means that the last handle was dropped, which stops the sandbox too.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let server = axum::serve(ConnectionListener(listener), service);
        let _ = server.with_graceful_shutdown(stopped).await;
    });
}

async fn handle(
    State(app): State<AppState>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: HttpRequest,
) -> HttpResponse {
    connection.restore();
    let Some(request) = Request::read(request).await else {
        return HttpResponse::default();
    };
    if let Some(response) = admin::respond(&mut lock(&app.state), &request) {
        return response.into_response();
    }
    let fault = {
        let mut state = lock(&app.state);
        state.record(&request);
        state.faults.take_matching(&request)
    };
    if let Some(response) = fault.as_ref().and_then(FaultKind::response) {
        return response.into_response();
    }
    match &fault {
        Some(FaultKind::Stall) => {
            let mut stop = app.stop.clone();
            tokio::select! {
                () = pending() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            connection.cut_after(0);
            return HttpResponse::default();
        }
        Some(FaultKind::DropBeforeEffect) => {
            connection.cut_after(0);
            return HttpResponse::default();
        }
        Some(FaultKind::DropAfterEffect) => connection.cut_after(0),
        Some(FaultKind::CutResponse { after_bytes }) => connection.cut_after(*after_bytes),
        _ => {}
    }
    let response = lock(&app.state).respond(&request);
    match fault {
        Some(FaultKind::Delay(time)) => {
            tokio::time::sleep(time).await;
            response.into_response()
        }
        Some(FaultKind::AlterResponse(fault)) => fault.apply(response),
        _ => response.into_response(),
    }
}
