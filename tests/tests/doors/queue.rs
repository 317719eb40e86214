//! The queue: what is declared there, and what becomes of messages that are no attempts.

use crate::{START, attempt, folder, parked, with};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard};
use verdict_oracle::{DAY, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, number, rows, server};
use verdict_tests::queue::{self, QUEUE};
use verdict_tests::service::{Service, Setup, free_port};

const DEAD_QUEUE: &str = "verdict.attempts.dead";
/// Replaying by the command line goes by real time: these events are older than any clock.
const PAST: i64 = START - 1_000 * DAY;

/// The queue has one name: who uses it takes turns.
static TURN: Mutex<()> = Mutex::const_new(());

struct Line {
    service: Service,
    db: sea_orm::DatabaseConnection,
    channel: Channel,
    _connection: Connection,
    _turn: MutexGuard<'static, ()>,
}

impl Line {
    /// A service on PostgreSQL that consumes the real queue.
    async fn new(name: &str) -> Self {
        Self::reaching(name, &server("VERDICT_TEST_AMQP_URL")).await
    }

    /// The same by another way to the broker.
    async fn reaching(name: &str, amqp_url: &str) -> Self {
        let turn = TURN.lock().await;
        let broker = server("VERDICT_TEST_AMQP_URL");
        queue::forget(&broker).await;
        let url = fresh_postgres(&format!("doors_{}", name.replace('-', "_"))).await;
        let setup = Setup { test_clock: Some(START), amqp_url: Some(amqp_url.into()), ..Setup::new(&url) };
        let service = Service::start(setup, &folder(name)).await;
        let connection = Connection::connect(&broker, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let line = Self { service, db: connect(&url).await, channel, _connection: connection, _turn: turn };
        if amqp_url == broker {
            line.until("the queues are consumed", async || line.consumed(DEAD_QUEUE).await).await;
        }
        line
    }

    /// Waits for something to be so.
    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let start = Instant::now();
        while !is_so().await {
            assert!(start.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether the queue is declared, and consumed once.
    async fn consumed(&self, queue: &str) -> bool {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let channel = self._connection.create_channel().await.unwrap();
        let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
        queue.is_ok_and(|queue| queue.consumer_count() == 1)
    }

    async fn publish(&self, exchange: &str, key: &str, properties: BasicProperties, body: &[u8]) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = properties.with_delivery_mode(2);
        let confirm = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        let confirm = confirm.await.unwrap().await.unwrap();
        assert!(confirm.is_ack() && confirm.take_message().is_none(), "the broker did not take it");
    }

    async fn send(&self, body: &Value) {
        let json = BasicProperties::default().with_content_type("application/json".into());
        self.publish("verdict", "attempt.test", json, body.to_string().as_bytes()).await;
    }

    async fn recorded(&self) -> i64 {
        number(&self.db, "SELECT COUNT(*) FROM attempts").await
    }

    /// Waits until so many attempts are recorded and so many things are parked, and nothing is left in the queues.
    async fn settles_at(&self, recorded: i64, parked: i64) {
        let what = format!("{recorded} recorded, {parked} parked");
        self.until(&what, async || {
            let parked_now = number(&self.db, "SELECT COUNT(*) FROM parked WHERE replayed_at IS NULL").await;
            self.recorded().await >= recorded && parked_now >= parked
        })
        .await;
        queue::wait_until_empty(&server("VERDICT_TEST_AMQP_URL"), Duration::from_secs(30)).await;
        let things = parked_reasons(&self.service).await;
        assert_eq!((self.recorded().await, things.len() as i64), (recorded, parked), "{things:#?}");
    }
}

async fn parked_reasons(service: &Service) -> Vec<String> {
    parked(service).await.iter().map(|thing| thing["reason"].as_str().unwrap().to_string()).collect()
}

fn past(id: &str) -> Value {
    let attempt = with(&attempt("acme", id), "/status", json!("failed"));
    let attempt = with(&attempt, "/started_at", json!(rfc3339(PAST)));
    with(&attempt, "/ended_at", json!(rfc3339(PAST)))
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn arguments(delivery_limit: i64) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(delivery_limit));
    arguments.insert("x-dead-letter-exchange".into(), text("verdict.dead"));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

#[tokio::test]
async fn the_queue_is_a_durable_quorum_queue_with_a_delivery_limit_and_a_dead_letter_exchange() {
    let line = Line::new("queue-topology").await;
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    for exchange in ["verdict", "verdict.dead"] {
        let declared = line.channel.exchange_declare(
            exchange.into(),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        );
        declared.await.unwrap();
    }
    let declare = async |queue: &str, arguments: FieldTable| {
        let channel = line._connection.create_channel().await.unwrap();
        channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await
    };
    // The broker refuses to declare again what is declared differently.
    let queue = declare(QUEUE, arguments(100)).await.unwrap();
    assert_eq!(queue.consumer_count(), 1);
    assert!(declare(QUEUE, arguments(5)).await.is_err());
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), text("quorum"));
    // So many that nothing is dropped from here: RabbitMQ 4 would drop after 20.
    quorum.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(1_000_000));
    let dead = declare(DEAD_QUEUE, quorum).await.unwrap();
    assert_eq!(dead.consumer_count(), 1, "what is dead is parked");
}

#[tokio::test]
async fn a_malformed_message_is_parked_as_it_came_and_its_neighbours_are_recorded() {
    let line = Line::new("queue-malformed").await;
    let raw = b"{\"id\": \"a-1\", \xff}";
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), text("00-1"));
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_message_id("m-1".into())
        .with_app_id("agents".into())
        .with_headers(headers);
    line.send(&attempt("acme", "a-1")).await;
    line.publish("verdict", "attempt.eu.acme", properties, raw).await;
    // Of several in one message, the bad one alone is parked.
    let bad = with(&attempt("acme", "a-3"), "/model", json!(""));
    line.send(&json!([attempt("acme", "a-2"), bad, attempt("acme", "a-4")])).await;
    line.settles_at(3, 2).await;

    let stored = rows(&line.db, "SELECT body, headers, reason FROM parked ORDER BY length(body)").await;
    assert_eq!(stored[0].try_get_by_index::<Vec<u8>>(0).unwrap(), raw);
    let headers: Value = serde_json::from_str(&stored[0].try_get_by_index::<String>(1).unwrap()).unwrap();
    assert_eq!(
        [&headers["exchange"], &headers["routing_key"], &headers["message_id"], &headers["app_id"]],
        ["verdict", "attempt.eu.acme", "m-1", "agents"]
    );
    assert!(headers["headers"].as_str().unwrap().contains("traceparent"), "{headers}");
    assert!(stored[0].try_get_by_index::<String>(2).unwrap().contains("UTF-8"));
    assert_eq!(stored[1].try_get_by_index::<Vec<u8>>(0).unwrap(), bad.to_string().into_bytes());
    assert!(stored[1].try_get_by_index::<String>(2).unwrap().starts_with("model: "));
}

#[tokio::test]
async fn a_message_that_came_back_too_often_is_parked_and_can_be_replayed() {
    let line = Line::new("queue-dead").await;
    let json = BasicProperties::default().with_content_type("application/json".into());
    let body = past("a-1").to_string();
    line.publish("", DEAD_QUEUE, json, body.as_bytes()).await;
    line.settles_at(0, 1).await;
    let thing = &parked(&line.service).await[0];
    assert_eq!([&thing["origin"], &thing["body"]], ["attempt", body.as_str()]);
    assert!(thing["reason"].as_str().unwrap().contains("replay"), "{thing}");
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let dead = line.channel.queue_declare(DEAD_QUEUE.into(), passive, FieldTable::default()).await.unwrap();
    assert_eq!(dead.message_count(), 0);

    line.service.command(&["parked", "replay", thing["id"].as_str().unwrap()]);
    line.settles_at(1, 0).await;
    // Acknowledged is acknowledged: nothing comes back to the next who consumes.
    let mut line = line;
    line.service.restart().await;
    line.settles_at(1, 0).await;
}

/// Whatever a message holds, it is parked, and what comes behind it is recorded.
#[tokio::test]
async fn no_message_holds_up_those_behind_it() {
    let line = Line::new("queue-hostile").await;
    let good = attempt("acme", "a-0");
    for (pointer, value) in [
        ("/case", json!("a\0b")),
        ("/metadata", json!({ "key": "a\0b" })),
        ("/failure_detail", json!("\0")),
        ("/started_at", json!("a\0b")),
        ("/status", json!("a\0b")),
        ("/reported_cost", json!({ "amount": "\0", "currency": "USD" })),
        ("/reported_cost", json!({ "amount": "1", "currency": "\0" })),
        ("/a\0b", json!(1)),
        ("/customer", json!("x".repeat(129))),
        ("/usage", json!({ "input_tokens": 1_000_000_001 })),
    ] {
        line.send(&with(&good, pointer, value)).await;
    }
    line.send(&attempt("acme", "a-1")).await;
    line.settles_at(1, 10).await;
}

#[tokio::test]
async fn no_content_type_holds_up_the_messages_behind_it() {
    let line = Line::new("queue-content-types").await;
    for content_type in ["text/csv", "", "application/\0json"] {
        let properties = BasicProperties::default().with_content_type(content_type.into());
        let body = attempt("acme", "a-0").to_string();
        line.publish("verdict", "attempt.test", properties.clone(), body.as_bytes()).await;
        line.publish("", DEAD_QUEUE, properties, b"{}").await;
    }
    // Without any, it is JSON.
    let body = attempt("acme", "a-1").to_string();
    line.publish("verdict", "attempt.test", BasicProperties::default(), body.as_bytes()).await;
    line.settles_at(1, 6).await;
}

#[tokio::test]
async fn a_broker_that_comes_up_later_is_found_later() {
    let broker = server("VERDICT_TEST_AMQP_URL");
    let port = free_port();
    let (credentials, address) = broker.strip_prefix("amqp://").unwrap().split_once('@').unwrap();
    let (address, path) = address.split_once('/').unwrap();
    let line = Line::reaching("queue-late", &format!("amqp://{credentials}@127.0.0.1:{port}/{path}")).await;
    // The other doors are open meanwhile.
    line.service.post("/v1/attempts", &attempt("acme", "a-1")).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!line.consumed(QUEUE).await);

    let way = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let address = address.to_string();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = way.accept().await {
            let mut far = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    line.until("the queues are consumed", async || line.consumed(DEAD_QUEUE).await).await;
    line.send(&attempt("acme", "a-2")).await;
    line.settles_at(2, 0).await;
}

#[tokio::test]
async fn what_the_command_line_emits_is_recorded() {
    let line = Line::new("queue-emit").await;
    let file = folder("queue-emit").join("events.jsonl");
    let lines: Vec<String> = (0..1_200).map(|n| attempt("acme", &format!("a-{n}")).to_string()).collect();
    std::fs::write(&file, lines.join("\n\n")).unwrap();
    let said = line.service.command(&["emit", file.to_str().unwrap()]);
    assert!(said.starts_with("1200 events"), "{said}");
    line.settles_at(1_200, 0).await;
}
