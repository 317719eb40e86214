//! The queue: its topology, the consumer, and a small publisher.

use crate::clock::Clock;
use crate::prices::LivePrices;
use crate::worker::Worker;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use std::sync::Arc;
use std::time::Duration;
use verdict_intake::{Message, record_messages};
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::{Store, StoreError};

/// The exchange that senders publish to.
pub const EXCHANGE: &str = "verdict";
/// The queue of attempts.
pub const QUEUE: &str = "verdict.attempts";
/// What senders' routing keys look like.
pub const BINDING: &str = "attempt.#";
/// Where messages go that came back too often.
const DEAD_EXCHANGE: &str = "verdict.dead";
/// Their queue: its messages are parked.
const DEAD_QUEUE: &str = "verdict.attempts.dead";
/// How often a message may come back. Each crash or lost connection with a message in flight counts once.
const DELIVERY_LIMIT: i64 = 100;
/// Bounds the memory and the transaction of a batch of messages that hold many events each.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Longest wait between tries to reconnect.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How messages are put together.
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// The most in one transaction.
    pub messages: usize,
    /// How long a batch waits for more.
    pub linger: Duration,
    /// How many batches are written at once.
    pub writers: usize,
}

/// What the consumer needs.
pub struct Intake {
    /// Where facts are recorded.
    pub store: Store,
    /// The service's time.
    pub clock: Clock,
    /// Prices.
    pub prices: Arc<LivePrices>,
    /// Who is nudged when there are new facts.
    pub worker: Arc<Worker>,
    /// How messages are put together.
    pub batching: Batching,
}

/// Connects, and declares the topology. Declaring is idempotent.
pub async fn connect(url: &str) -> Result<(Connection, Channel), lapin::Error> {
    let properties = ConnectionProperties::default().with_connection_name("verdict".into());
    let connection = Connection::connect(url, properties).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    Ok((connection, channel))
}

async fn declare(channel: &Channel) -> Result<(), lapin::Error> {
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    for exchange in [EXCHANGE, DEAD_EXCHANGE] {
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, FieldTable::default())
            .await?;
    }
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments.insert("x-dead-letter-exchange".into(), text(DEAD_EXCHANGE));
    // A message is only taken from here once it is safe there; that needs publishers to be refused when full.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;
    channel
        .queue_bind(
            QUEUE.into(),
            EXCHANGE.into(),
            BINDING.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    // RabbitMQ 4 drops after 20 redeliveries unless told otherwise; from here nothing may be dropped.
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(1_000_000));
    channel.queue_declare(DEAD_QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;
    channel
        .queue_bind(
            DEAD_QUEUE.into(),
            DEAD_EXCHANGE.into(),
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// Consumes for ever. Whatever happens to the broker or the database, it goes on by itself.
pub async fn consume(url: String, intake: Arc<Intake>) {
    let mut wait = Duration::from_millis(200);
    loop {
        match consume_until_lost(&url, &intake, &mut wait).await {
            Ok(()) => tracing::warn!("the broker closed the consumer; connecting again"),
            Err(error) => tracing::warn!(%error, ?wait, "the queue is away; connecting again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn consume_until_lost(
    url: &str,
    intake: &Arc<Intake>,
    wait: &mut Duration,
) -> Result<(), lapin::Error> {
    let (connection, channel) = connect(url).await?;
    let dead = connection.create_channel().await?;
    let prefetch = u16::try_from(intake.batching.messages * 4).unwrap_or(u16::MAX);
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    dead.basic_qos(100, BasicQosOptions::default()).await?;
    let tag = |queue: &str| format!("verdict-{queue}");
    let options = BasicConsumeOptions::default();
    let attempts =
        channel.basic_consume(QUEUE.into(), tag(QUEUE).into(), options, FieldTable::default()).await?;
    let dead =
        dead.basic_consume(DEAD_QUEUE.into(), tag(DEAD_QUEUE).into(), options, FieldTable::default()).await?;
    tracing::info!(queue = QUEUE, "consuming");
    *wait = Duration::from_millis(200);
    tokio::select! {
        result = consume_attempts(attempts, intake) => result,
        result = park_dead(dead, intake) => result,
    }
}

/// Records batches, some at once, and acknowledges them in order: what is acknowledged is always the contiguous part
/// that is committed.
async fn consume_attempts(consumer: Consumer, intake: &Arc<Intake>) -> Result<(), lapin::Error> {
    let batching = intake.batching;
    let batches = futures_util::stream::unfold(consumer, move |mut consumer| async move {
        let batch = next_batch(&mut consumer, batching).await?;
        Some((batch, consumer))
    });
    let written = batches.map(|batch| record_batch(intake.clone(), batch)).buffered(batching.writers);
    let mut written = std::pin::pin!(written);
    while let Some(last) = written.next().await {
        if let Some(last) = last? {
            last.ack(BasicAckOptions { multiple: true }).await?;
            intake.worker.nudge();
        }
    }
    Ok(())
}

/// Waits for a first message, then for more until the batch is full or has lingered. `None`: the consumer has ended.
async fn next_batch(
    consumer: &mut Consumer,
    batching: Batching,
) -> Option<Result<Vec<Delivery>, lapin::Error>> {
    let mut batch = match consumer.next().await? {
        Ok(first) => vec![first],
        Err(error) => return Some(Err(error)),
    };
    let mut linger = std::pin::pin!(tokio::time::sleep(batching.linger));
    let mut bytes: usize = batch.iter().map(|delivery| delivery.data.len()).sum();
    while batch.len() < batching.messages && bytes < MAX_BATCH_BYTES {
        tokio::select! {
            biased;
            next = consumer.next() => match next {
                Some(Ok(delivery)) => {
                    bytes += delivery.data.len();
                    batch.push(delivery);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            },
            () = &mut linger => break,
        }
    }
    Some(Ok(batch))
}

/// Records a batch, however long the database is away: nothing is given back to the broker meanwhile, so that an
/// outage does not count against a message's delivery limit. Answers with what acknowledges the last of it.
async fn record_batch(
    intake: Arc<Intake>,
    batch: Result<Vec<Delivery>, lapin::Error>,
) -> Result<Option<Acker>, lapin::Error> {
    let deliveries = batch?;
    let last = deliveries.last().map(|delivery| delivery.acker.clone());
    let messages: Vec<Message<'_>> = deliveries.iter().map(message).collect();
    let mut wait = Duration::from_millis(100);
    loop {
        match record_messages(&intake.store, &intake.prices.now(), &messages, intake.clock.now()).await {
            Ok(_) => return Ok(last),
            Err(error) => {
                tracing::warn!(%error, ?wait, messages = messages.len(), "could not record; trying again")
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Parks what came back too often.
async fn park_dead(mut consumer: Consumer, intake: &Intake) -> Result<(), lapin::Error> {
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let parked = Parked {
            origin: Origin::Attempt,
            reference: content_type(&delivery).to_string(),
            headers: headers(&delivery),
            reason: format!("it was delivered {DELIVERY_LIMIT} times without being recorded: replay it"),
            body: delivery.data,
        };
        let acker = delivery.acker;
        while let Err(error) = park(intake, &parked).await {
            tracing::warn!(%error, "could not park a dead message; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        acker.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

async fn park(intake: &Intake, parked: &Parked) -> Result<(), StoreError> {
    let tx = intake.store.begin().await?;
    parked::park(&tx, std::slice::from_ref(parked), intake.clock.now()).await?;
    tx.commit().await
}

/// A message without a content type is taken for JSON.
fn content_type(delivery: &Delivery) -> &str {
    delivery.properties.content_type().as_ref().map_or(verdict_intake::JSON, |text| text.as_str())
}

fn message(delivery: &Delivery) -> Message<'_> {
    let headers = Box::new(|| headers(delivery));
    Message { content_type: content_type(delivery), body: &delivery.data, headers }
}

fn headers(delivery: &Delivery) -> String {
    let properties = &delivery.properties;
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(|text| text.as_str().to_string());
    let headers = serde_json::json!({
        "exchange": delivery.exchange.as_str(),
        "routing_key": delivery.routing_key.as_str(),
        "content_type": text(properties.content_type()),
        "message_id": text(properties.message_id()),
        "app_id": text(properties.app_id()),
        "headers": properties.headers().as_ref().map(|table| format!("{table:?}")),
    });
    headers.to_string()
}

/// Publishes messages, persistent, and waits until the broker has confirmed each.
pub async fn publish(
    url: &str,
    content_type: &str,
    bodies: impl Iterator<Item = Vec<u8>>,
) -> Result<usize, lapin::Error> {
    let (connection, channel) = connect(url).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let properties = BasicProperties::default().with_content_type(content_type.into()).with_delivery_mode(2);
    let mut waiting = std::collections::VecDeque::new();
    let mut published = 0;
    for body in bodies {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirm = channel
            .basic_publish(EXCHANGE.into(), "attempt.emit".into(), options, &body, properties.clone())
            .await?;
        waiting.push_back(confirm);
        published += 1;
        if waiting.len() >= 1_000
            && let Some(oldest) = waiting.pop_front()
        {
            confirmed(oldest.await?)?;
        }
    }
    for confirm in waiting {
        confirmed(confirm.await?)?;
    }
    connection.close(200, "done".into()).await?;
    Ok(published)
}

fn confirmed(confirmation: lapin::Confirmation) -> Result<(), lapin::Error> {
    // An acknowledged message may still have been returned: then nothing is bound.
    if matches!(confirmation, lapin::Confirmation::Ack(None)) {
        return Ok(());
    }
    let error = std::io::Error::other("the broker did not take a message: it is full, or nothing is bound");
    Err(lapin::Error::from(error))
}
