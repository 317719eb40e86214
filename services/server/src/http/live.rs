//! The pages' stream (server-sent events, WHATWG HTML 9.2): says when figures have changed, so that a page that is open can be
//! read again. It tells no figure.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::Problem;
use crate::serve::stopped;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use verdict_store::{Store, changes};

/// How often it is looked whether figures have changed: events come no more often.
const LOOK: Duration = Duration::from_secs(1);
/// So that what is between notices that a stream is alive, and we that its reader is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Then the browser connects again, with its login: one that is over hears no more.
const LONGEST: Duration = Duration::from_secs(600);
/// The most streams at once of a process.
const STREAMS: usize = 256;
/// From reading a page to listening it takes less than this: what changed meanwhile is told at once.
const RECENT: Duration = Duration::from_secs(10);

/// What was seen last.
#[derive(Debug, Clone, Copy)]
struct Seen {
    changes: i64,
    at: Instant,
    /// The process ends.
    ended: bool,
}

/// What the streams of a process listen to. However many there are, one task asks the database.
#[derive(Clone)]
pub struct Live {
    seen: Arc<watch::Sender<Seen>>,
    opened: Arc<Notify>,
    places: Arc<Semaphore>,
}

impl Live {
    /// Starts the task that looks. It asks nothing while nobody listens.
    pub fn start(store: Store) -> Self {
        let seen = Arc::new(watch::Sender::new(Seen { changes: -1, at: Instant::now(), ended: false }));
        let live = Self { seen, opened: Arc::default(), places: Arc::new(Semaphore::new(STREAMS)) };
        let looking = live.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = looking.look(&store) => {}
                // Else the end of the process waits for streams that do not end.
                () = stopped() => looking.seen.send_modify(|seen| seen.ended = true),
            }
        });
        live
    }

    async fn look(&self, store: &Store) {
        loop {
            if self.seen.receiver_count() == 0 {
                self.opened.notified().await;
            }
            match changes::seen(store).await {
                Ok(changes) => {
                    self.seen.send_if_modified(|seen| {
                        let moved = seen.changes != changes;
                        if moved {
                            *seen = Seen { changes, at: Instant::now(), ..*seen };
                        }
                        moved
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "looking for changed figures failed; it will be tried again")
                }
            }
            sleep(LOOK).await;
        }
    }

    /// A stream for one who has heard of `last`; `None` if there are too many.
    fn listen(&self, last: Option<i64>) -> Option<Listener> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mut seen = self.seen.subscribe();
        let now = *seen.borrow();
        // Where nobody has looked yet, the first look tells.
        let has_looked = now.changes >= 0;
        if has_looked && last.map_or(now.at.elapsed() < RECENT, |last| last != now.changes) {
            seen.mark_changed();
        }
        self.opened.notify_one();
        Some(Listener { seen, until: Instant::now() + LONGEST, has_begun: false, _place: place })
    }
}

/// One stream.
struct Listener {
    seen: watch::Receiver<Seen>,
    until: Instant,
    has_begun: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if !self.has_begun {
            self.has_begun = true;
            return Some("retry: 2000\n\n".into());
        }
        tokio::select! {
            () = sleep_until(self.until) => None,
            () = sleep(HEARTBEAT) => Some(": still here\n\n".into()),
            changed = self.seen.changed() => {
                changed.ok()?;
                let seen = *self.seen.borrow_and_update();
                let event = || format!("id: {0}\nevent: figures\ndata: {0}\n\n", seen.changes);
                (!seen.ended).then(event)
            }
        }
    }
}

/// An event each time that figures have changed, at most one a second; with a login, or a key.
pub(super) async fn stream(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let last = request.headers().get("Last-Event-ID");
    let last = last.and_then(|last| last.to_str().ok()?.parse().ok());
    let full = || Problem::unavailable(format!("{STREAMS} streams are open already: try again later"));
    let listener = door.live.listen(last).ok_or_else(full)?;
    let pieces = unfold(listener, async |mut listener| {
        let text = listener.next().await?;
        Some((Ok::<_, Infallible>(web::Bytes::from(text)), listener))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // A proxy that buffers would hold the events back (nginx: proxy_buffering).
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Box::pin(pieces)))
}
