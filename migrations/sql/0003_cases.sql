-- What is held of each case: rewritten by the judge, derivable from the facts at any time.
CREATE TABLE cases (
    customer TEXT NOT NULL,
    case_id TEXT NOT NULL,
    judged_at BIGINT NOT NULL,
    wake_at BIGINT, -- when time alone will change the judgement
    verdict TEXT NOT NULL, -- of the last episode that has one
    episodes TEXT NOT NULL, -- JSON, for people
    contribution TEXT NOT NULL, -- JSON: what this case adds to the daily figures
    PRIMARY KEY (customer, case_id)
) {clustered} {hot};

CREATE INDEX cases_to_wake ON cases (wake_at) WHERE wake_at IS NOT NULL;

-- Cases that have new facts. Appended in the transaction of the fact, taken by the judge.
CREATE TABLE cases_to_judge (
    id {id},
    customer TEXT NOT NULL,
    case_id TEXT NOT NULL
) {plain};
