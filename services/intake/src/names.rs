//! The names that instrumentations give to what a call to a model is about, as data: another convention is another
//! row here and nothing else.
//!
//! The names are those of
//! - OpenTelemetry's GenAI semantic conventions (github.com/open-telemetry/semantic-conventions-genai,
//!   `docs/registry/attributes/gen-ai.md`), and what they were called up to 1.36 (`gen_ai.system`,
//!   `gen_ai.usage.prompt_tokens`);
//! - OpenInference (github.com/Arize-ai/openinference, `spec/semantic_conventions.md`);
//! - OpenLLMetry (traceloop.com/docs/openllmetry/contributing/semantic-conventions), from before the first of these.

/// What an attribute is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Customer,
    Case,
    Action,
    Agent,
    Status,
    Operation,
    Provider,
    Model,
    ServiceTier,
    ResponseId,
    Error,
    Input,
    CachedInput,
    CacheWrite,
    Output,
    Reasoning,
}

/// The names of each, the one that counts first first. No other attribute is read, or kept.
const NAMES: [(About, &[&str]); 16] = [
    // Ours, for whoever instruments an agent.
    (About::Customer, &["billing.customer_id"]),
    (About::Case, &["billing.case_id", "gen_ai.conversation.id", "session.id"]),
    (About::Action, &["billing.action"]),
    (About::Agent, &["billing.agent", "gen_ai.agent.name", "agent.name", "service.name"]),
    (About::Status, &["billing.status"]),
    (
        About::Operation,
        &["gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "llm.request.type"],
    ),
    (About::Provider, &["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor"]),
    (
        About::Model,
        &[
            "gen_ai.response.model",
            "gen_ai.request.model",
            "llm.response.model_name",
            "llm.model_name",
            "llm.request.model_name",
            "llm.response.model",
            "llm.request.model",
            "embedding.model_name",
        ],
    ),
    // What answered counts before what was asked for.
    (
        About::ServiceTier,
        &[
            "openai.response.service_tier",
            "gen_ai.openai.response.service_tier",
            "gen_ai.response.service_tier",
            "openai.request.service_tier",
            "gen_ai.openai.request.service_tier",
        ],
    ),
    (About::ResponseId, &["gen_ai.response.id", "llm.response.id"]),
    (About::Error, &["error.type", "exception.type"]),
    (
        About::Input,
        &[
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "llm.usage.prompt_tokens",
        ],
    ),
    (
        About::CachedInput,
        &[
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.input_tokens.cached",
            "llm.token_count.prompt_details.cache_read",
        ],
    ),
    (
        About::CacheWrite,
        &[
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.input_tokens.cache_write",
            "llm.token_count.prompt_details.cache_write",
        ],
    ),
    (
        About::Output,
        &[
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "llm.usage.completion_tokens",
        ],
    ),
    (
        About::Reasoning,
        &[
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
        ],
    ),
];

/// The names under which an instrumentation may say this.
pub(crate) fn names(about: About) -> &'static [&'static str] {
    NAMES.iter().find(|(other, _)| *other == about).map_or(&[], |(_, names)| names)
}

/// Whether an attribute is read at all. What is not may hold what was said to a model or by it.
pub(crate) fn is_read(name: &str) -> bool {
    NAMES.iter().any(|(_, names)| names.contains(&name))
}

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One call to a model, which costs.
    Call,
    /// An agent's work as a whole: the calls that it made have spans of their own.
    Work,
    /// Something else: a tool, a search.
    Other,
}

/// What the operations are, by their names in lower case. One that is not here is told by whether tokens were counted.
const OPERATIONS: [(Kind, &[&str]); 3] = [
    (
        Kind::Call,
        &["chat", "text_completion", "generate_content", "embeddings", "llm", "embedding", "completion"],
    ),
    (Kind::Work, &["invoke_agent", "invoke_workflow", "agent", "chain", "workflow", "task"]),
    (
        Kind::Other,
        &[
            "create_agent",
            "execute_tool",
            "plan",
            "retrieval",
            "create_memory",
            "create_memory_store",
            "delete_memory",
            "delete_memory_store",
            "search_memory",
            "update_memory",
            "upsert_memory",
            "tool",
            "retriever",
            "reranker",
            "rerank",
            "guardrail",
            "evaluator",
            "prompt",
            "decision",
        ],
    ),
];

/// What an operation is, if its name says so.
pub(crate) fn kind(operation: &str) -> Option<Kind> {
    let operation = operation.to_ascii_lowercase();
    OPERATIONS.iter().find(|(_, names)| names.contains(&operation.as_str())).map(|(kind, _)| *kind)
}

/// What the price book calls the providers that conventions call otherwise.
const PROVIDERS: [(&str, &[&str]); 8] = [
    ("aws", &["aws.bedrock", "aws_bedrock", "bedrock", "bedrock_converse", "amazon", "sagemaker"]),
    (
        "azure",
        &[
            "azure.ai.openai",
            "azure.ai.inference",
            "az.ai.openai",
            "az.ai.inference",
            "azure_ai",
            "azure_openai",
        ],
    ),
    ("google", &["gcp.gemini", "gcp.gen_ai", "gcp.vertex_ai", "vertex_ai", "vertexai", "gemini"]),
    ("mistral", &["mistral_ai", "mistralai"]),
    ("moonshotai", &["moonshot_ai", "moonshot"]),
    ("together", &["together_ai", "together-ai"]),
    ("fireworks", &["fireworks_ai"]),
    ("x-ai", &["x_ai", "xai"]),
];

/// A provider by the price book's name for it: two instrumentations of one call must name the same.
pub(crate) fn provider(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let ours = PROVIDERS.iter().find(|(_, theirs)| theirs.contains(&name.as_str()));
    ours.map_or(name, |(ours, _)| ours.to_string())
}
