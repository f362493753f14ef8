"""Domains have keys that sign their mail; inbound may read the public halves alone."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE dkim_key (
    domain_id bigint NOT NULL CONSTRAINT dkim_key_domain_id_exists REFERENCES domain,
    selector text NOT NULL,
    algorithm text NOT NULL,
    public_key bytea NOT NULL,
    wrapped bytea,
    state text NOT NULL DEFAULT 'next',
    created_at timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,
    retired_at timestamptz,
    verifies_until timestamptz,
    CONSTRAINT dkim_key_key PRIMARY KEY (domain_id, selector),
    CONSTRAINT dkim_key_selector_is_a_month CHECK (selector ~ '^m[0-9]{6}[a-z]{1,2}$'),
    CONSTRAINT dkim_key_algorithm_is_known CHECK (algorithm IN ('rsa', 'ed25519')),
    CONSTRAINT dkim_key_state_is_known CHECK (state IN ('next', 'active', 'retired')),
    CONSTRAINT dkim_key_public_key_is_whole CHECK (octet_length(public_key) BETWEEN 32 AND 1024),
    CONSTRAINT dkim_key_retired_opens_no_more CHECK ((state = 'retired') = (wrapped IS NULL)),
    CONSTRAINT dkim_key_active_since_when CHECK ((state = 'next') = (activated_at IS NULL) OR state = 'retired'),
    CONSTRAINT dkim_key_retired_since_when CHECK (
        (state = 'retired') = (retired_at IS NOT NULL) AND (state = 'retired') = (verifies_until IS NOT NULL))
);
CREATE UNIQUE INDEX dkim_key_one_active ON dkim_key (domain_id, algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX dkim_key_one_next ON dkim_key (domain_id, algorithm) WHERE state = 'next';
"""

GRANTS = """
GRANT SELECT ON dkim_key TO mtumail_web, mtumail_worker;
GRANT SELECT (domain_id, selector, algorithm, public_key, state, verifies_until) ON dkim_key TO mtumail_inbound;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP TABLE dkim_key")
