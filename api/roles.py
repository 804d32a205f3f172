"""The roles of the database that our processes run as: each can do no more than it needs."""

from psycopg.conninfo import conninfo_to_dict, make_conninfo

API_ROLE = "dynamic_tables_api"
PROJECTOR_ROLE = "dynamic_tables_projector"
ADMIN_ROLE = "dynamic_tables_admin"  # of the command line, and of what acts for all companies


def as_role(database_url: str, role: str, options: str = "") -> str:
    """A connection string whose sessions run as a role that can do no more than it needs."""
    given = conninfo_to_dict(database_url)
    options = (
        f"{options} {given.get('options') or ''} -c role={role} -c timezone=UTC"
        # Our queries name their schemas: nobody who may create one can slip in an operator.
        " -c search_path=pg_catalog"
        " -c lock_timeout=2s -c statement_timeout=10s -c idle_in_transaction_session_timeout=60s"
        " -c jit=off -c default_transaction_isolation=read\\ committed"
    )
    return make_conninfo(
        database_url, options=options.strip(), application_name=role, tcp_user_timeout=10_000
    )
