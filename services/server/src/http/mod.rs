//! The HTTP door: routes, and what all handlers share.

mod access;
pub(crate) mod behind;
mod billing;
pub(crate) mod cases;
mod credits;
mod customer;
mod disputes;
mod events;
mod evidence;
mod export;
mod figures;
mod levers;
mod litellm;
mod live;
mod operations;
mod pages;
mod paging;
mod prices;
mod problem;
mod provider_bills;
mod read;
mod rebuild;
mod reconcile;
pub(crate) mod reports;
mod shared;
mod sources;
mod stripe;
mod traces;
mod void;
mod webhooks;

pub use access::{Scope, new_key};
pub use live::Live;

use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::prices::LivePrices;
use crate::sources::LiveSources;
use crate::worker::Worker;
use actix_web::dev::Service;
use actix_web::{App, HttpServer, web};
use std::net::SocketAddr;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_actix_web::AppExt;
use verdict_resolution::Source;
use verdict_store::{Store, parked};

/// What the handlers work with.
#[derive(Clone)]
pub struct Door {
    /// The database.
    pub store: Store,
    /// The service's time.
    pub clock: Clock,
    /// Prices.
    pub prices: Arc<LivePrices>,
    /// Who is nudged when there are new facts.
    pub worker: Arc<Worker>,
    /// The sources of webhooks.
    pub sources: Arc<LiveSources>,
    /// What Stripe's events are verified with, if its secrets are set.
    pub stripe_events: Option<Source>,
    /// Where deliveries are stored.
    pub inbox: Inbox,
    /// Whether the login cookie is only sent over HTTPS.
    pub secure_cookies: bool,
    /// Where others reach the service, if that is configured.
    pub public_url: Option<String>,
    /// Who is told when figures have changed.
    pub live: Live,
    /// How much is kept of telemetry that cannot be used.
    pub telemetry_parked: parked::Bounds,
    /// What Stripe takes of revenue, in hundredths of a per cent, if that is configured.
    pub stripe_fee_basis_points: Option<u32>,
}

/// The most bytes in a request: 10,000 attempts of 3 kB.
const MAX_BODY: usize = 32 * 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Verdict",
        description = "Outcome-based billing: attempts and resolutions in; verdicts, invoices and the cost of failure out."
    ),
    components(schemas(problem::ProblemBody)),
    modifiers(&Key),
    security(("key" = []))
)]
struct ApiDescription;

struct Key;

impl utoipa::Modify for Key {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A key made by `verdict keys create`."))
            .build();
        api.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// The routes. Those of the API describe themselves: a route that is here is in the description.
fn routes(config: &mut utoipa_actix_web::service_config::ServiceConfig) {
    config
        .service(events::post_attempts)
        .service(events::post_resolutions)
        .service(traces::post_traces)
        .service(litellm::post_litellm)
        // Before that of the sources, of which none can have this name.
        .service(stripe::post_stripe_event)
        .service(webhooks::post_webhook)
        .service(disputes::post_dispute)
        .service(disputes::list_disputes)
        .service(disputes::accept_dispute)
        .service(disputes::reject_dispute)
        .service(billing::post_contract)
        .service(billing::list_contracts)
        .service(billing::list_invoices)
        .service(billing::get_invoice)
        .service(void::void_invoice)
        .service(stripe::put_stripe_customer)
        .service(evidence::get_evidence)
        .service(evidence::get_chain)
        .service(billing::approve_invoice)
        .service(credits::post_credits)
        .service(credits::list_credits)
        .service(customer::get_estimate)
        .service(customer::make_page_link)
        .service(cases::list_cases)
        .service(cases::get_case)
        .service(cases::get_delivery)
        .service(prices::list_books)
        .service(prices::post_book)
        .service(prices::get_diff)
        .service(prices::post_activation)
        .service(prices::get_prices)
        .service(prices::get_disagreements)
        .service(prices::list_overrides)
        .service(prices::post_override)
        .service(figures::overview)
        .service(figures::groups)
        .service(reports::failure_cost)
        .service(reports::unknown_costs)
        .service(provider_bills::post_provider_bill)
        .service(provider_bills::get_provider_bill)
        .service(levers::get_levers)
        .service(shared::make_report_link)
        .service(export::get_rows)
        .service(behind::get_cases)
        .service(rebuild::post_rebuild)
        .service(rebuild::get_rebuild)
        .service(reconcile::get_reconciliation)
        .service(operations::status)
        .service(operations::list_parked)
        .service(operations::get_parked)
        .service(operations::replay_parked)
        .service(sources::list_sources)
        .service(sources::list_alerts)
        .service(sources::list_quarantine)
        .service(sources::replay_quarantined)
        .service(operations::get_test_clock)
        .service(operations::move_test_clock);
}

/// The description of the API, as it is served.
pub fn api_description() -> utoipa::openapi::OpenApi {
    let (_, api) =
        App::new().into_utoipa_app().openapi(ApiDescription::openapi()).configure(routes).split_for_parts();
    api
}

/// Serves until it is told to stop.
pub async fn listen(address: SocketAddr, door: Door) -> std::io::Result<()> {
    let server = HttpServer::new(move || {
        let (app, _) =
            App::new()
                .into_utoipa_app()
                .app_data(web::Data::new(door.clone()))
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .app_data(web::QueryConfig::default().error_handler(|error, _| {
                    problem::Problem::unprocessable(format!("query: {error}")).into()
                }))
                .app_data(web::FormConfig::default().error_handler(|error, _| {
                    problem::Problem::unprocessable(format!("form: {error}")).into()
                }))
                .configure(routes)
                .split_for_parts();
        // No name has a NUL in it, and PostgreSQL cannot even be asked for one.
        app.configure(webhooks::probes)
            .configure(pages::routes)
            .configure(customer::pages)
            .configure(shared::pages)
            .default_service(web::to(problem::not_found))
            .wrap_fn(|request, service| {
                let has_nul = request.uri().to_string().contains("%00");
                let answer = (!has_nul).then(|| service.call(request));
                async move {
                    match answer {
                        Some(answer) => answer.await,
                        None => {
                            Err(problem::Problem::unprocessable("the address has a NUL in it".into()).into())
                        }
                    }
                }
            })
    });
    // Two workers: the work is in the database.
    server.workers(2).shutdown_timeout(5).bind(address)?.run().await
}
