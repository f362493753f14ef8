"""People choose names that nobody else rests on, are invited, have several mailboxes and share them; each act has a name."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE domain ADD COLUMN registration text,
    ADD CONSTRAINT domain_registration_is_known CHECK (registration IN ('open', 'invite', 'closed'));

-- What a page without a mailbox in its address is about, for ever: it outlives the mailbox, so it references none.
ALTER TABLE account ADD COLUMN home_mailbox_id bigint;
UPDATE account SET home_mailbox_id = (SELECT mailbox_id FROM mailbox_member m
    WHERE m.account_id = account.account_id ORDER BY since, mailbox_id LIMIT 1);

ALTER TABLE address ADD COLUMN likeness text,
    ADD CONSTRAINT address_likeness_is_folded CHECK (likeness = lower(likeness) AND likeness <> '');
CREATE UNIQUE INDEX address_likeness_taken_once ON address (domain_id, likeness);

ALTER TABLE mailbox_member DROP CONSTRAINT mailbox_member_role_is_known,
    ADD CONSTRAINT mailbox_member_role_is_known CHECK (role IN ('owner', 'writer', 'reader'));
DROP INDEX mailbox_member_one_owner_a_mailbox;
"""

TABLES = """
CREATE TABLE reserved_name (
    name text CONSTRAINT reserved_name_key PRIMARY KEY,
    likeness text NOT NULL,
    reserved_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reserved_name_is_folded CHECK (name = lower(name) AND name <> '' AND octet_length(name) <= 64),
    CONSTRAINT reserved_name_likeness_is_folded CHECK (likeness = lower(likeness) AND likeness <> '')
);
CREATE INDEX reserved_name_likeness ON reserved_name (likeness);

CREATE TABLE resting_name (
    domain_id bigint NOT NULL CONSTRAINT resting_name_domain_id_exists REFERENCES domain,
    name_hash bytea NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    CONSTRAINT resting_name_key PRIMARY KEY (domain_id, name_hash),
    CONSTRAINT resting_name_name_is_blind CHECK (octet_length(name_hash) = 32),
    CONSTRAINT resting_name_reason_is_known CHECK (reason IN ('released', 'reclaimed', 'erased')),
    CONSTRAINT resting_name_rests_a_while CHECK (until > since)
);
CREATE INDEX resting_name_until ON resting_name (until);

CREATE TABLE registration_invitation (
    invitation_id bigint CONSTRAINT registration_invitation_key PRIMARY KEY,
    domain_id bigint NOT NULL CONSTRAINT registration_invitation_domain_id_exists REFERENCES domain,
    code_hash bytea NOT NULL CONSTRAINT registration_invitation_code_hash_taken_once UNIQUE,
    contact_hash bytea,
    uses integer NOT NULL DEFAULT 1,
    used integer NOT NULL DEFAULT 0,
    made_by bigint CONSTRAINT registration_invitation_made_by_exists REFERENCES account ON DELETE SET NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    CONSTRAINT registration_invitation_codes_are_hashed CHECK (octet_length(code_hash) = 32),
    CONSTRAINT registration_invitation_contacts_are_hashed CHECK (octet_length(contact_hash) = 32),
    CONSTRAINT registration_invitation_uses_are_some CHECK (uses BETWEEN 1 AND 1000),
    CONSTRAINT registration_invitation_used_no_more_than_it_may CHECK (used BETWEEN 0 AND uses),
    CONSTRAINT registration_invitation_lasts_a_while CHECK (expires_at > made_at)
);
CREATE INDEX registration_invitation_by_time ON registration_invitation (made_at DESC, invitation_id DESC);

CREATE TABLE sign_up (
    mailbox_id bigint CONSTRAINT sign_up_key PRIMARY KEY CONSTRAINT sign_up_mailbox_id_exists REFERENCES mailbox ON DELETE CASCADE,
    account_id bigint NOT NULL CONSTRAINT sign_up_account_id_exists REFERENCES account ON DELETE CASCADE,
    domain_id bigint NOT NULL CONSTRAINT sign_up_domain_id_exists REFERENCES domain,
    invitation_id bigint CONSTRAINT sign_up_invitation_id_exists REFERENCES registration_invitation,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sign_up_by_time ON sign_up (at);
CREATE INDEX sign_up_account_id ON sign_up (account_id);

CREATE TABLE member_invitation (
    mailbox_id bigint NOT NULL CONSTRAINT member_invitation_mailbox_id_exists REFERENCES mailbox ON DELETE CASCADE,
    account_id bigint NOT NULL CONSTRAINT member_invitation_account_id_exists REFERENCES account ON DELETE CASCADE,
    role text NOT NULL,
    invited_by bigint NOT NULL CONSTRAINT member_invitation_invited_by_exists REFERENCES account ON DELETE CASCADE,
    invited_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT member_invitation_key PRIMARY KEY (mailbox_id, account_id),
    CONSTRAINT member_invitation_role_is_known CHECK (role IN ('owner', 'writer', 'reader')),
    CONSTRAINT member_invitation_nobody_invites_himself CHECK (invited_by <> account_id),
    CONSTRAINT member_invitation_lasts_a_while CHECK (expires_at > invited_at)
);
CREATE INDEX member_invitation_account_id ON member_invitation (account_id);

CREATE TABLE member_notice (
    account_id bigint NOT NULL CONSTRAINT member_notice_account_id_exists REFERENCES account ON DELETE CASCADE,
    notice_id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    address text NOT NULL,
    role text NOT NULL DEFAULT '',
    by_account_id bigint CONSTRAINT member_notice_by_account_id_exists REFERENCES account ON DELETE SET NULL,
    CONSTRAINT member_notice_key PRIMARY KEY (account_id, notice_id),
    CONSTRAINT member_notice_kind_is_known CHECK (kind IN ('removed', 'role', 'withdrawn', 'accepted', 'declined', 'left', 'closed'))
);

CREATE TABLE mailbox_activity (
    mailbox_id bigint NOT NULL CONSTRAINT mailbox_activity_mailbox_id_exists REFERENCES mailbox ON DELETE CASCADE,
    activity_id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    account_id bigint CONSTRAINT mailbox_activity_account_id_exists REFERENCES account ON DELETE SET NULL,
    kind text NOT NULL,
    number integer NOT NULL DEFAULT 1,
    role text NOT NULL DEFAULT '',
    other_account_id bigint CONSTRAINT mailbox_activity_other_account_id_exists REFERENCES account ON DELETE SET NULL,
    CONSTRAINT mailbox_activity_key PRIMARY KEY (mailbox_id, activity_id),
    CONSTRAINT mailbox_activity_kind_is_a_code CHECK (kind ~ '^[a-z]+(\\.[a-z]+)?$'),
    CONSTRAINT mailbox_activity_number_is_positive CHECK (number > 0)
);
"""

FUNCTIONS = """
CREATE FUNCTION account_home_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.home_mailbox_id IS NOT NULL AND NEW.home_mailbox_id IS DISTINCT FROM OLD.home_mailbox_id THEN
        RAISE EXCEPTION 'an address without a mailbox in it means one mailbox for ever'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_home_is_chosen_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_home_stays BEFORE UPDATE OF home_mailbox_id ON account FOR EACH ROW EXECUTE FUNCTION account_home_stays();

CREATE FUNCTION member_lock(box bigint) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('mtumail members', box))
$$;

CREATE FUNCTION member_joins() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM member_lock(NEW.mailbox_id);
    IF NOT EXISTS (SELECT FROM mailbox_member WHERE mailbox_id = NEW.mailbox_id) THEN
        IF NEW.role <> 'owner' OR EXISTS (SELECT FROM mailbox WHERE mailbox_id = NEW.mailbox_id AND state = 'closed') THEN
            RAISE EXCEPTION 'the first member of a mailbox owns it'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'mailbox_member_begins_with_its_owner';
        END IF;
        RETURN NEW;
    END IF;
    DELETE FROM member_invitation
     WHERE mailbox_id = NEW.mailbox_id AND account_id = NEW.account_id AND role = NEW.role AND expires_at > now();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only who was invited joins a mailbox'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'mailbox_member_was_invited';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER mailbox_member_joins BEFORE INSERT ON mailbox_member FOR EACH ROW EXECUTE FUNCTION member_joins();

CREATE FUNCTION member_stays() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM member_lock(OLD.mailbox_id);
    IF OLD.role = 'owner' AND (TG_OP = 'DELETE' OR NEW.role <> 'owner')
        AND EXISTS (SELECT FROM mailbox WHERE mailbox_id = OLD.mailbox_id AND state <> 'closed')
        AND NOT EXISTS (SELECT FROM mailbox_member
                         WHERE mailbox_id = OLD.mailbox_id AND role = 'owner' AND account_id <> OLD.account_id) THEN
        RAISE EXCEPTION 'a mailbox that is open has an owner'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'mailbox_member_has_an_owner';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER mailbox_member_stays BEFORE UPDATE OR DELETE ON mailbox_member FOR EACH ROW EXECUTE FUNCTION member_stays();

CREATE FUNCTION member_is_invited() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM member_lock(NEW.mailbox_id);
    IF NOT EXISTS (SELECT FROM mailbox_member m JOIN mailbox b USING (mailbox_id)
                    WHERE m.mailbox_id = NEW.mailbox_id AND m.account_id = NEW.invited_by AND m.role = 'owner'
                      AND b.state <> 'closed') THEN
        RAISE EXCEPTION 'an owner invites'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'member_invitation_comes_from_an_owner';
    END IF;
    IF EXISTS (SELECT FROM mailbox_member WHERE mailbox_id = NEW.mailbox_id AND account_id = NEW.account_id) THEN
        RAISE EXCEPTION 'who is a member is not invited'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'member_invitation_is_for_others';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER member_invitation_is_made BEFORE INSERT OR UPDATE ON member_invitation
    FOR EACH ROW EXECUTE FUNCTION member_is_invited();

-- The one way to change or end a membership, also for a web process in wrong hands: an owner does, or the member leaves.
CREATE FUNCTION member_change(doer bigint, box bigint, who bigint, new_role text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM member_lock(box);
    IF NOT (doer = who AND new_role IS NULL)
        AND NOT EXISTS (SELECT FROM mailbox_member WHERE mailbox_id = box AND account_id = doer AND role = 'owner') THEN
        RETURN false;
    END IF;
    IF new_role IS NULL THEN
        DELETE FROM mailbox_member WHERE mailbox_id = box AND account_id = who;
    ELSE
        UPDATE mailbox_member SET role = new_role WHERE mailbox_id = box AND account_id = who AND role <> new_role;
    END IF;
    RETURN FOUND;
END $$;

CREATE FUNCTION act_is_told(box bigint, doer bigint, what text, how_many integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Whose mailbox is his alone needs nobody to tell him; one act is told once, however many rows it took.
    IF doer IS NULL OR NOT EXISTS (SELECT FROM mailbox_member WHERE mailbox_id = box AND account_id <> doer)
        OR EXISTS (SELECT FROM mailbox_activity
                    WHERE mailbox_id = box AND activity_id > (SELECT coalesce(max(activity_id), 0) - 20 FROM mailbox_activity WHERE mailbox_id = box)
                      AND at = now() AND account_id = doer AND kind = what) THEN
        RETURN;
    END IF;
    INSERT INTO mailbox_activity (mailbox_id, account_id, kind, number) VALUES (box, doer, what, how_many);
END $$;

CREATE FUNCTION acting_account() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('mtumail.account', true), '')::bigint
$$;

CREATE FUNCTION deleting_is_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone record;
BEGIN
    IF acting_account() IS NOT NULL THEN
        FOR gone IN SELECT mailbox_id, count(*)::integer AS number FROM removed WHERE state <> 'draft' GROUP BY 1 LOOP
            PERFORM act_is_told(gone.mailbox_id, acting_account(), 'deleted', gone.number);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_deleting_is_told AFTER DELETE ON message REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION deleting_is_told();

-- For tables of a mailbox's settings; the argument is the kind that members see.
CREATE FUNCTION setting_is_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM act_is_told(coalesce(NEW.mailbox_id, OLD.mailbox_id), acting_account(), TG_ARGV[0], 1);
    RETURN NULL;
END $$;
CREATE TRIGGER vacation_is_told AFTER INSERT OR UPDATE OR DELETE ON vacation
    FOR EACH ROW EXECUTE FUNCTION setting_is_told('settings.vacation');
CREATE TRIGGER sender_identity_is_told AFTER INSERT OR UPDATE OR DELETE ON sender_identity
    FOR EACH ROW EXECUTE FUNCTION setting_is_told('settings.identities');

CREATE FUNCTION sending_is_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM act_is_told(NEW.mailbox_id, NEW.account_id, 'sent', 1);
    RETURN NULL;
END $$;
CREATE TRIGGER submission_is_told AFTER INSERT ON submission FOR EACH ROW EXECUTE FUNCTION sending_is_told();
"""

GRANTS = """
REVOKE ALL ON FUNCTION member_lock(bigint), member_joins(), member_stays(), member_is_invited(), deleting_is_told(), setting_is_told(),
    sending_is_told(), account_home_stays(), act_is_told(bigint, bigint, text, integer), acting_account(),
    member_change(bigint, bigint, bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION member_change(bigint, bigint, bigint, text) TO mtumail_web;
GRANT UPDATE (home_mailbox_id) ON account TO mtumail_web;
GRANT SELECT ON reserved_name, resting_name, registration_invitation TO mtumail_web;
GRANT UPDATE (used) ON registration_invitation TO mtumail_web;
GRANT SELECT, INSERT ON sign_up TO mtumail_web;
GRANT SELECT, INSERT, DELETE ON member_invitation, member_notice TO mtumail_web;
GRANT SELECT, INSERT ON mailbox_activity TO mtumail_web;
GRANT SELECT ON mailbox_activity TO mtumail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON resting_name TO mtumail_worker;

GRANT UPDATE (registration) ON domain TO mtumail_staff;
GRANT SELECT, INSERT, DELETE ON reserved_name TO mtumail_staff;
GRANT SELECT, INSERT, UPDATE ON resting_name TO mtumail_staff;
GRANT SELECT, INSERT, UPDATE (withdrawn_at) ON registration_invitation TO mtumail_staff;
"""

POLICIES = """
ALTER TABLE mailbox_activity ENABLE ROW LEVEL SECURITY;
CREATE POLICY mailbox_activity_of_the_named_mailbox ON mailbox_activity TO mtumail_web, mtumail_worker
    USING (mailbox_id = nullif(current_setting('mtumail.mailbox', true), '')::bigint);
"""


def upgrade() -> None:
    op.execute(CHANGES)
    _liken()
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(GRANTS)
    op.execute(POLICIES)


def _liken() -> None:
    """Give the addresses that are there their likeness; of those that look alike already, the oldest has it."""
    from webmail.identity.names import likeness

    connection = op.get_bind()
    known: set[tuple[int, str]] = set()
    found = connection.execute(sa.text("SELECT domain_id, local_part FROM address ORDER BY created_at"))
    for domain_id, local_part in found.all():
        alike = likeness(local_part)
        if not alike or (domain_id, alike) in known:
            continue
        known.add((domain_id, alike))
        connection.execute(
            sa.text("UPDATE address SET likeness = :alike WHERE domain_id = :domain AND local_part = :local"),
            {"alike": alike, "domain": domain_id, "local": local_part},
        )


def downgrade() -> None:
    op.execute("""
        DROP TRIGGER submission_is_told ON submission;
        DROP TRIGGER sender_identity_is_told ON sender_identity;
        DROP TRIGGER vacation_is_told ON vacation;
        DROP TRIGGER message_deleting_is_told ON message;
        DROP TRIGGER mailbox_member_joins ON mailbox_member;
        DROP TRIGGER mailbox_member_stays ON mailbox_member;
        DROP TRIGGER account_home_stays ON account;
        REVOKE UPDATE (registration) ON domain FROM mtumail_staff;
        DROP TABLE mailbox_activity, member_notice, member_invitation, sign_up, registration_invitation, resting_name, reserved_name;
        DROP FUNCTION sending_is_told(), setting_is_told(), deleting_is_told(), act_is_told(bigint, bigint, text, integer),
            acting_account(), member_change(bigint, bigint, bigint, text), member_is_invited(), member_stays(), member_joins(),
            member_lock(bigint), account_home_stays();
        DROP INDEX address_likeness_taken_once;
        ALTER TABLE address DROP COLUMN likeness;
        ALTER TABLE account DROP COLUMN home_mailbox_id;
        ALTER TABLE domain DROP COLUMN registration;
        -- A mailbox of several is its oldest owner's again.
        DELETE FROM mailbox_member m WHERE EXISTS (SELECT FROM mailbox_member o WHERE o.mailbox_id = m.mailbox_id AND o.role = 'owner'
            AND o.account_id <> m.account_id AND (m.role <> 'owner' OR (o.since, o.account_id) < (m.since, m.account_id)));
        ALTER TABLE mailbox_member DROP CONSTRAINT mailbox_member_role_is_known,
            ADD CONSTRAINT mailbox_member_role_is_known CHECK (role IN ('owner'));
        CREATE UNIQUE INDEX mailbox_member_one_owner_a_mailbox ON mailbox_member (mailbox_id) WHERE role = 'owner'""")
