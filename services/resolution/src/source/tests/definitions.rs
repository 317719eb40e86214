//! Definitions and sources that are not right.

use super::*;

#[test]
fn errors_name_the_place_and_the_remedy() {
    let rule = |rule: &str| {
        format!(
            "[platforms.own]\nscheme='github'\ncase_id='body:/c'\ncustomer='const:x'\noccurred_at={{at='received:',format='rfc3339'}}\nrules=[{rule}]"
        )
    };
    for (toml, place, remedy) in [
        (
            rule("{outcome='assumed',when=[{at='bodyy:/x',eq=1}]}"),
            "platforms.own.rules[0].when[0].at",
            "write body:/pointer",
        ),
        (
            rule("{outcome='assumed',when=[{at='body:x',eq=1}]}"),
            "platforms.own.rules[0].when[0].at",
            "begins with `/`",
        ),
        (
            rule("{outcome='assumed',when=[{at='body:/x'}]}"),
            "platforms.own.rules[0].when[0]",
            "exactly one of",
        ),
        (
            rule("{outcome='assumed',when=[{at='body:/x',eq=1,ne=2}]}"),
            "platforms.own.rules[0].when[0]",
            "exactly one of",
        ),
        (
            rule("{outcome='assumed',when=[{at='body:/x',equals=1}]}"),
            "platforms.own.rules[0].when[0].equals",
            "unknown field",
        ),
        (
            rule("{outcome='assumed',when=[{at='body:/x',eq=[1]}]}"),
            "platforms.own.rules[0].when[0].eq",
            "give one text",
        ),
        (
            rule("{outcome='assumed',when=[{at='body:/x',in='y'}]}"),
            "platforms.own.rules[0].when[0].in",
            "setting:name",
        ),
        (rule("{outcome='solved'}"), "platforms.own.rules[0].outcome", "expected one of"),
        (rule("{outcome='rated'}"), "platforms.own.rules[0]", "`score`"),
        (rule("{outcome='fetch'}"), "platforms.own.rules[0].outcome", "[fetch]"),
        (
            rule("{outcome='message',case_id='event:/x'}"),
            "platforms.own.rules[0].case_id",
            "only within [fetch]",
        ),
        ("[platforms.own]\nscheme='nobody'".into(), "platforms.own.scheme", "there are"),
        ("[platforms.own]\nnack={status=410}".into(), "platforms.own.nack.status", "500 to 599"),
        ("[platforms.own]\neach=false".into(), "platforms.own.each", "leave `each` out"),
        ("[platforms.own]\nrules=[{outcome='message'}]".into(), "platforms.own.rules[0]", "`case_id`"),
        ("[platforms.own.fetch]\nurl='ftp://x'\nrules=[]".into(), "platforms.own.fetch.url", "https://"),
        ("[platforms.own.fetch]\nurl='{case_id}'\nrules=[]".into(), "platforms.own.fetch.url", "https://"),
        (
            "[platforms.own.fetch]\nurl='https://x/{cursor}'\nrules=[]".into(),
            "platforms.own.fetch",
            "{cursor}",
        ),
        (
            "[platforms.own.fetch]\nurl='https://x/{credential:a}'\nrules=[]".into(),
            "platforms.own.fetch.url",
            "headers",
        ),
        ("[platforms.Own]".into(), "platforms.Own", "lower-case"),
        ("[schemes.own]\nkind='hmac'\nheader='x'".into(), "schemes.own.signed", "is missing"),
        ("[schemes.own]\nkind='hmac'\nheader='x'\nsigned='{bodi}'".into(), "schemes.own.signed", "{body}"),
        (
            "[schemes.own]\nkind='hmac'\nheader='x'\nsigned='{ts}{body}'".into(),
            "schemes.own.signed",
            "ts_header",
        ),
        ("[schemes.own]\nkind='sha'\nheader='x'\nsigned='{body}'".into(), "schemes.own.signed", "{secret}"),
        ("[schemes.own]\nkind='rsa'\nheader='x'\nsigned='{body}'".into(), "schemes.own.key", "pem"),
        (
            "[schemes.own]\nkind='hmac'\nheader='x y'\nsigned='{body}'".into(),
            "schemes.own.header",
            "name of a header",
        ),
        (
            "[[sources]]\nname='x'\nsecrets=[{value='y',frm='z'}]".into(),
            "sources[0].secrets[0].frm",
            "unknown field",
        ),
        ("[[sources]]\nname='x'\ntolerance='soon'".into(), "sources[0].tolerance", "\"off\""),
    ] {
        let error = Catalogue::builtin().unwrap().extended(&toml).unwrap_err().to_string();
        assert!(error.contains(&format!("{place}: ")) && error.contains(remedy), "{toml}\n→ {error}");
    }
}

#[test]
fn sources_that_are_not_safe_are_refused() {
    let catalogue = Catalogue::builtin().unwrap();
    let error = |toml: &str| {
        let config: SourceConfig = toml::from_str(toml).unwrap();
        Source::new(&config, &catalogue, &|_| None).unwrap_err().to_string()
    };
    for (toml, words) in [
        ("name=''", "its name must be"),
        ("name='Up'", "its name must be"),
        ("name='a/b'", "its name must be"),
        ("name='api'", "taken"),
        ("name='operator'", "taken"),
        ("name='x'\nplatform='nobody'", "there are ada, chatwoot"),
        ("name='x'\nscheme='nobody'", "there are bitbucket"),
        ("name='x'\nplatform='raw'", "give a `scheme`"),
        ("name='x'\nplatform='hubspot'", "give `public_url`"),
        ("name='x'\nscheme='github'\nsecrets=['']", "the secret `1` is empty"),
        ("name='x'\nscheme='github'\nsecrets=['   ']", "is empty"),
        ("name='x'\nscheme='github'\nsecrets=['seven77']", "has 7 bytes"),
        ("name='x'\nsecrets=['whsec_']", "has 0 bytes"),
        ("name='x'\nsecrets=['whsec_%']", "must be `whsec_` and base64"),
        (
            "name='x'\nscheme='github'\nsecrets=['env:NOWHERE']",
            "needs the environment variable NOWHERE, which is not set",
        ),
        (
            "name='x'\nscheme='github'\nsecrets=[{value='eight888',from='2026-01-02T00:00:00Z',until='2026-01-02T00:00:00Z'}]",
            "never valid",
        ),
        (
            "name='x'\nscheme='github'\nsecrets=[{name='a',value='eight888'},{name='a',value='eight889'}]",
            "there twice",
        ),
        ("name='x'\nscheme='freshchat'\nsecrets=['eight888']", "must be"),
        ("name='x'\nplatform='standard-v1a'\nsecrets=['whpk_AAAA']", "32 bytes"),
        ("name='x'\nplatform='ada'\ncredentials={token='env:NOWHERE'}", "credentials.token"),
    ] {
        let error = error(toml);
        assert!(error.contains(words), "{toml}\n→ {error}");
        assert!(!error.contains("eight888"), "{error}");
    }
}

#[test]
fn secrets_are_tried_within_their_time_and_can_be_added() {
    let catalogue = Catalogue::builtin().unwrap();
    let config: SourceConfig = toml::from_str(
        "name='x'\nscheme='shared-token'\nsecrets=[{name='old',value='secret-old',until='2026-01-02T00:00:00Z'},{value='secret-new',from='2026-01-01T00:00:00Z'}]",
    )
    .unwrap();
    let source = Source::new(&config, &catalogue, &|_| None).unwrap();
    let verify = |source: &Source, token: &'static str, at: &str| {
        let header =
            move |name: &str| name.eq_ignore_ascii_case("x-outcome-secret").then(|| token.to_string());
        let request = Request { method: "POST", query: None, header: &header, body: b"" };
        source.verify(&request, Timestamp::parse(at).unwrap()).map(|verified| verified.secret)
    };
    assert_eq!(verify(&source, "secret-old", "2026-01-01T23:59:59Z"), Ok("old".into()));
    assert_eq!(verify(&source, "secret-old", "2026-01-02T00:00:00Z"), Err(BadSignature::Mismatch));
    assert_eq!(verify(&source, "secret-new", "2026-01-01T00:00:00Z"), Ok("2".into()));
    assert_eq!(verify(&source, "secret-new", "2025-12-31T23:59:59Z"), Err(BadSignature::Mismatch));
    let more = source.with_secrets(vec![SecretConfig::plain("secret-3rd")]).unwrap();
    assert_eq!(verify(&more, "secret-3rd", "2026-01-01T00:00:00Z"), Ok("3".into()));
    assert_eq!(verify(&source, "secret-3rd", "2026-01-01T00:00:00Z"), Err(BadSignature::Mismatch));
    let none = SourceConfig { secrets: Vec::new(), ..config.clone() };
    let none = Source::new(&none, &catalogue, &|_| None).unwrap();
    assert!(!none.has_secrets() && source.has_secrets());
    assert_eq!(verify(&none, "secret-new", "2026-01-01T00:00:00Z"), Err(BadSignature::Mismatch));
    let shown = format!("{source:?} {config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("secret-old") && !shown.contains("secret-new"), "{shown}");
}

#[test]
fn lint_finds_what_is_probably_a_mistake() {
    let file = r#"
[platforms.own]
scheme = "shared-token"
case_id = "body:/case"
customer = "const:x"
occurred_at = { at = "received:", format = "rfc3339" }
rules = [
  { outcome = "message", when = [{ at = "body:/a", eq = 1 }] },
  { outcome = "reopened", when = [{ at = "body:/b", eq = 1 }, { at = "body:/a", eq = 1 }] },
  { outcome = "failed", when = [{ at = "body:/c", in = "setting:nowhere" }] },
  { outcome = "confirmed" },
]
fetch = { url = "http://desk.example/{case_id}", rules = [] }

[[sources]]
name = "a"
platform = "own"
secrets = ["eight888"]
settings = { typo = 1 }

[[sources]]
name = "a"
secrets = []
tolerance = "off"
"#;
    let parsed = SourcesFile::parse(file).unwrap();
    let catalogue = with_own(file);
    let found: Vec<String> = lint(&catalogue, &parsed.sources, &|_| None)
        .iter()
        .map(|finding| format!("{:?} {finding}", finding.severity))
        .collect();
    for expected in [
        "Warning platforms.own.rules[1]: can never match: rules[0]",
        "Warning platforms.own.rules[2]: setting:nowhere has no default",
        "Error platforms.own.rules[3]: bills whatever comes",
        "Warning platforms.own: bills by a shared token",
        "Warning platforms.own: has no samples",
        "Error platforms.own.fetch.url: sends credentials unencrypted",
        "Warning sources[0].secrets: the secret `1` has 8 bytes; better are 16",
        "Warning sources[0].settings.typo: is used by nothing",
        "Error sources[1].name: `a` is there twice",
        "Warning sources[1].secrets: are none",
        "Warning sources[1].tolerance: is off",
        "Warning schemes.hubspot-v1.kind: a plain digest",
    ] {
        assert!(found.iter().any(|finding| finding.starts_with(expected)), "{expected} is not in {found:#?}");
    }
}

#[test]
fn a_sample_that_fails_says_why() {
    let catalogue = with_own(
        r#"
[platforms.own]
scheme = "github"
rules = [{ outcome = "ignore", when = [{ at = "body:/a", exists = true }] }]
samples = [{ name = "s", body = '{"a":1}', expect = [{ outcome = "quarantine" }] }]
"#,
    );
    let results = run_samples(&catalogue);
    let own = results.iter().find(|result| result.platform == "own").unwrap();
    assert!(own.problem.as_ref().unwrap().contains("Ignore"), "{own:?}");
}

#[test]
fn the_example_of_the_handbook_works() {
    let handbook = include_str!("../../../../../docs/SOURCES.md");
    let example = handbook.split("```").find(|block| block.starts_with("toml\n[schemes.lotsen]")).unwrap();
    let toml = example.strip_prefix("toml\n").unwrap();
    let catalogue = with_own(toml);
    let results = run_samples(&catalogue);
    let own: Vec<_> = results.iter().filter(|result| result.platform == "lotsen").collect();
    assert!(own.len() == 3 && own.iter().all(|result| result.problem.is_none()), "{own:#?}");
    let resolve = |name: &str| Some(format!("a long enough value of {name}"));
    let found = lint(&catalogue, &SourcesFile::parse(toml).unwrap().sources, &resolve);
    let found: Vec<_> = found
        .iter()
        .filter(|finding| !finding.place.contains("hubspot-v1"))
        .map(ToString::to_string)
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    for (name, _) in catalogue.platforms() {
        assert!(handbook.contains(name), "{name} is not explained");
    }
}
