//! What the service answers over HTTP.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snakepit_adapters::{ExecuteError, Health, PoolStats, Snakepit};

pub(crate) fn router(pit: Snakepit) -> Router {
    Router::new()
        .route("/nap", get(nap))
        .route("/stats", get(stats))
        .route("/readyz", get(readyz))
        .with_state(pit)
}

#[derive(Deserialize, Serialize)]
struct Nap {
    ms: u64,
}

/// When the client hangs up, the server drops this future, and that cancels the request.
async fn nap(State(pit): State<Snakepit>, Query(nap): Query<Nap>) -> Result<Json<Value>, Refusal> {
    Ok(Json(pit.call("sleep", &nap).await?))
}

async fn stats(State(pit): State<Snakepit>) -> Result<Json<PoolStats>, Refusal> {
    Ok(Json(pit.stats("default").await?))
}

/// Whether requests are worth sending, and if not, why.
async fn readyz(State(pit): State<Snakepit>) -> (StatusCode, Json<Health>) {
    let health = pit.health().await;
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

/// An error as the service tells it: the status and `Retry-After` are the library's own (feature `http`).
struct Refusal(ExecuteError);

impl From<ExecuteError> for Refusal {
    fn from(error: ExecuteError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let body = json!({"code": error.code(), "message": error.to_string()});
        (error.http_status(), error.http_headers(), Json(body)).into_response()
    }
}
