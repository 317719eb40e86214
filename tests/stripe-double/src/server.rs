//! The HTTP side.

use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde::Deserialize;
use serde_json::json;

use crate::double::{Double, Incoming, Wire};
use crate::faults::{Fault, RandomFaults};

/// What the handlers share.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Double>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Double> {
        // A panic in one call is that test's failure; the others may as well go on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything but the record.
    pub fn reset(&self) {
        let mut double = self.lock();
        *double = Double { record: double.record.take(), ..Double::default() };
    }
}

/// Serves until stopped; `started` gets the means to stop it.
pub(crate) fn run(
    listener: TcpListener,
    shared: Shared,
    started: impl FnOnce(ServerHandle),
) -> io::Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let app = move || {
            App::new()
                .app_data(web::Data::new(shared.clone()))
                .route("/_double/state", web::get().to(state))
                .route("/_double/reset", web::post().to(reset))
                .route("/_double/faults", web::post().to(add_fault))
                .route("/_double/random_faults", web::post().to(set_random_faults))
                .route("/_double/clock", web::post().to(set_clock))
                .default_service(web::to(call))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run();
        started(server.handle());
        server.await
    })
}

async fn call(request: HttpRequest, body: String, shared: web::Data<Shared>) -> HttpResponse {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let incoming = Incoming {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        body,
        key: header("Idempotency-Key"),
        authorization: header("Authorization"),
    };
    let key = incoming.key.clone();
    let outgoing = shared.lock().answer(incoming);
    if !outgoing.delay.is_zero() {
        actix_web::rt::time::sleep(outgoing.delay).await;
    }
    match outgoing.wire {
        Wire::Json { answer, replayed, retry_after } => {
            let status = actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default();
            let mut response = HttpResponse::build(status);
            if let Some(key) = key {
                response.insert_header(("Idempotency-Key", key));
            }
            if replayed {
                response.insert_header(("Idempotent-Replayed", "true"));
            }
            if let Some(seconds) = retry_after {
                response.insert_header(("Retry-After", seconds.to_string()));
            }
            response.json(answer.body)
        }
        Wire::Html502 => HttpResponse::BadGateway()
            .content_type("text/html")
            .body("<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"),
        Wire::Nothing => HttpResponse::Ok().body(Cut),
    }
}

/// A body that fails at once, upon which the server closes the connection.
struct Cut;

impl MessageBody for Cut {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(1)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}

async fn state(shared: web::Data<Shared>) -> HttpResponse {
    let double = shared.lock();
    let mut state = double.world.state();
    state["faults"] = json!(double.faults.scripted);
    state["calls"] = json!(double.calls.len());
    HttpResponse::Ok().json(state)
}

async fn reset(shared: web::Data<Shared>) -> HttpResponse {
    shared.reset();
    HttpResponse::NoContent().finish()
}

async fn add_fault(fault: web::Json<Fault>, shared: web::Data<Shared>) -> HttpResponse {
    shared.lock().faults.scripted.push(fault.into_inner());
    HttpResponse::NoContent().finish()
}

async fn set_random_faults(
    random: web::Json<Option<RandomFaults>>,
    shared: web::Data<Shared>,
) -> HttpResponse {
    shared.lock().faults.random = random.into_inner();
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
struct Clock {
    now: Option<i64>,
}

async fn set_clock(clock: web::Json<Clock>, shared: web::Data<Shared>) -> HttpResponse {
    shared.lock().clock = clock.now;
    HttpResponse::NoContent().finish()
}
