//! The real queue, as any sender uses it.

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use std::time::{Duration, Instant};

/// The service's queue.
pub const QUEUE: &str = "verdict.attempts";
const DEAD_QUEUE: &str = "verdict.attempts.dead";

/// Deletes what the service declared, so that a run starts with nothing.
pub async fn forget(url: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    for queue in [QUEUE, DEAD_QUEUE] {
        let channel = connection.create_channel().await.unwrap();
        let _ = channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await;
    }
    let _ = connection.close(200, "done".into()).await;
}

/// A message: its content type and its body.
pub type Message = (&'static str, Vec<u8>);

/// Publishes all messages, persistent and confirmed; whatever happens to the broker meanwhile, until it has them all.
/// A message may so be there more than once, as with any sender that is careful.
pub async fn publish(url: &str, messages: &[Message]) {
    publish_as(url, "attempt.test", messages).await;
}

/// The same under another routing key.
pub async fn publish_as(url: &str, key: &str, messages: &[Message]) {
    let start = Instant::now();
    let mut done = 0;
    while done < messages.len() {
        assert!(start.elapsed() < Duration::from_secs(300), "the broker is away for too long");
        if publish_from(url, key, messages, &mut done).await.is_err() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

async fn publish_from(
    url: &str,
    key: &str,
    messages: &[Message],
    done: &mut usize,
) -> Result<(), lapin::Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for chunk in messages[*done..].chunks(500) {
        let mut confirms = Vec::new();
        for (content_type, body) in chunk {
            let properties =
                BasicProperties::default().with_content_type((*content_type).into()).with_delivery_mode(2);
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            confirms
                .push(channel.basic_publish("verdict".into(), key.into(), options, body, properties).await?);
        }
        for confirm in join_all(confirms).await {
            let confirm = confirm?;
            if !confirm.is_ack() || confirm.take_message().is_some() {
                return Err(std::io::Error::other("a message was not taken").into());
            }
        }
        *done += chunk.len();
    }
    let _ = connection.close(200, "done".into()).await;
    Ok(())
}

/// Waits until the queue is empty and everything in it was acknowledged: a queue is only deleted "if empty" when it
/// is, so its own count is asked twice, a moment apart.
pub async fn wait_until_empty(url: &str, patience: Duration) {
    let start = Instant::now();
    let mut seen_empty = 0;
    while seen_empty < 3 {
        assert!(start.elapsed() < patience, "the queue does not drain");
        seen_empty = if count(url).await == Some(0) { seen_empty + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Waits until no message is ready: the last ones may still be on their way.
pub async fn wait_until_ready_is_empty(url: &str) {
    while count(url).await != Some(0) {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// How many messages are ready.
async fn count(url: &str) -> Option<u32> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.ok()?;
    let channel = connection.create_channel().await.ok()?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let queue = channel.queue_declare(QUEUE.into(), options, FieldTable::default()).await.ok()?;
    let _ = connection.close(200, "done".into()).await;
    Some(queue.message_count())
}
