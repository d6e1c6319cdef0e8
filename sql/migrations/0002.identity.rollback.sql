DROP FUNCTION identity.scrub_audit;
DROP FUNCTION identity.changed_fields, identity.image, identity.is_newer, identity.is_news;
DROP TABLE identity.profile_audit, identity.profiles, identity.stack_user_profiles, identity.companies;
DROP FUNCTION consumer.metadata_text, consumer.version, consumer.instant, consumer.trimmed;
DROP SCHEMA identity;
