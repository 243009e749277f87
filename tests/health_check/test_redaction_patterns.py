"""How secrets are written in the texts of real programs."""

from __future__ import annotations

import pytest

from health_check.redaction import mask

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = "-----BEGIN RSA PRIVATE KEY-----{0}hunter2{0}-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://u:hun/ter2@db/x", "postgres://***@db/x"),
        ("amqp://u:hun?ter2@mq", "amqp://***@mq"),
        ("amqp://u:hun#ter2@mq", "amqp://***@mq"),
        ("postgres://u:hun@ter/2@db/x", "postgres://***@db/x"),
        ("postgres://shop:2024/hunter2@db/x", "postgres://***@db/x"),
        ("redis://:hun'ter\"2@h/0", "redis://***@h/0"),
        ("https://u:hun/ter2@example.com/x", "https://***@example.com/x"),
        ("https://u:hunter2@example.com/user@host", "https://***@example.com/user@host"),
        ("https://0123456789abcdef@o1.ingest.example/42", "https://***@o1.ingest.example/42"),
        ("mongodb://u:hun@ter2@h1:1,h2:2/d?replicaSet=r", "mongodb://***@h1:1,h2:2/d?replicaSet=r"),
        ("postgresql+psycopg2://u:hunter2@h/d", "postgresql+psycopg2://***@h/d"),
        (r"'redis://u:hun\'ter2@h'", "'redis://***@h'"),
        (r'{"a": "{\"b\": \"redis://u:hunter2@h\"}"}', r'{"a": "{\"b\": \"redis://***@h\"}"}'),
        ('["http://u:hunter2@h","a@b"]', '["http://***@h","a@b"]'),
        ("?next=redis%3A%2F%2Fu%3Ahunter2%40h%2F0&x=1", "?next=redis%3A%2F%2F***%40h%2F0&x=1"),
        ("u:hunter2@tcp(db:3306)/x?a=b", "***@tcp(db:3306)/x?a=b"),
        ("u:hun@ter/2@unix(/tmp/mysql.sock)/x", "***@unix(/tmp/mysql.sock)/x"),
        ("dsn='u:hunter2@/x'", "dsn='***@/x'"),
        ("scott/hunter2@db:1521/orcl", "***@db:1521/orcl"),
        ("DATABASE_URL=mysql://u:hunter2@h/d X=1", "DATABASE_URL=mysql://***@h/d X=1"),
    ],
)
def test_data_source_name(text: str, masked: str) -> None:
    """Who logs in is masked in data source names of all kinds, however the password is written; the place is not."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Server=db;PWD={hun;ter2};Database=d", "Server=db;PWD=***;Database=d"),
        ("PWD={hun}}ter2};Database=d", "PWD=***;Database=d"),
        ("Name=n;SharedAccessKey=hunter2=;EntityPath=q", "Name=n;SharedAccessKey=***;EntityPath=q"),
        ("AccountName=a;AccountKey=hunter2==;x=1", "AccountName=a;AccountKey=***;x=1"),
        ("password=hun;ter2 dbname=d", "password=*** dbname=d"),
        ("password=hun,ter&2 dbname=d", "password=*** dbname=d"),
        ("password=hun)ter2, x", "password=***, x"),
        ("(see https://x/?token=hunter2).", "(see https://x/?token=***)."),
        ('<a href="?token=hunter2">', '<a href="?token=***">'),
        (r'{"t": "{\"password\": \"hun ter2\", \"x\": 1}"}', r'{"t": "{\"password\": \"***\", \"x\": 1}"}'),
        (r"\\\"password\\\": \\\"hunter2\\\",", r"\\\"password\\\": \\\"***\\\","),
        ("db:\n  password: hunter2\n  x: 1", "db:\n  password: ***\n  x: 1"),
        ("password: 'it''s hunter2'", "password: '***'"),
        ("password: |\n  hunter2\nx: 1", "password: |\n  ***\nx: 1"),
        ("<password>hun ter2</password>", "<password>***</password>"),
        ('<x:Password type="a">hunter2</x:Password>', '<x:Password type="a">***</x:Password>'),
        ("<password><![CDATA[hunter2]]></password>", "<password>***</password>"),
        ('<property name="password" value="hunter2"/>', '<property name="password" value="***"/>'),
        ('{"name": "DB_PASSWORD", "value": "hunter2"}', '{"name": "DB_PASSWORD", "value": "***"}'),
        ("- name: DB_PASSWORD\n  value: hunter2\n", "- name: DB_PASSWORD\n  value: ***\n"),
        ("?a=1%26password%3Dhunter2%26b%3D2", "?a=1%26password%3D***%26b%3D2"),
        ("%22password%22%3A%22hunter2%22%2C", "%22password%22%3A%22***%22%2C"),
        ("[('user', 'u'), ('password', 'hunter2')]", "[('user', 'u'), ('password', '***')]"),
        ("connect(passwd=hunter2, host='h')", "connect(passwd=***, host='h')"),
        ("get(url, auth=('u', 'hunter2'), timeout=1)", "get(url, auth=***, timeout=1)"),
        ("{'TOKENS': ['hunter2', 'x'], 'y': 1}", "{'TOKENS': ***, 'y': 1}"),
        ("SECRET_KEY_FALLBACKS = ['hunter2']", "SECRET_KEY_FALLBACKS = ***"),
        ('{"credentials": {"user": "u", "x": "hunter2"}, "y": 1}', '{"credentials": ***, "y": 1}'),
        ("os.environ['DB_PASSWORD'] = 'hunter2'", "os.environ['DB_PASSWORD'] = '***'"),
        ("def f(password: str = 'hunter2', x=1)", "def f(password: str = '***', x=1)"),
        ("'password' => 'hunter2',", "'password' => '***',"),
        ("DB_PASS=hunter2 REDIS_PASSWORD=hunter2 X=1", "DB_PASS=*** REDIS_PASSWORD=*** X=1"),
        ("PHPSESSID=hunter2; path=/", "PHPSESSID=***; path=/"),
        ("ALTER ROLE u PASSWORD 'it''s hunter2'", "ALTER ROLE u PASSWORD '***'"),
        ("CREATE USER u IDENTIFIED BY 'hunter2'", "CREATE USER u IDENTIFIED BY '***'"),
    ],
)
def test_value(text: str, masked: str) -> None:
    """What has the name of a secret is masked in all notations, with all that belongs to it and nothing else."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("{'Authorization': 'Bearer hunter2hunter2', 'X': 'y'}", "{'Authorization': '***', 'X': 'y'}"),
        ("{b'authorization': b'Basic aHVudGVyMg=='}", "{b'authorization': '***'}"),
        ("[(b'authorization', b'Basic eA=='), (b'x', b'y')]", "[(b'authorization', '***'), (b'x', b'y')]"),
        ("{'HTTP_AUTHORIZATION': 'Token hunter2', 'X': 1}", "{'HTTP_AUTHORIZATION': '***', 'X': 1}"),
        (r"\"Authorization\": \"Bearer hunter2\",", r"\"Authorization\": \"***\","),
        ("Proxy-Authorization: Basic eA== failed", "Proxy-Authorization: *** failed"),
        ('Authorization: Digest username="u", response="hunter2" failed', "Authorization: *** failed"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=A/b, Signature=hunter2 x", "Authorization: *** x"),
        ("X-Auth-Token: hunter2", "X-Auth-Token: ***"),
        ("Set-Cookie: a=hunter2; Path=/; HttpOnly", "Set-Cookie: ***"),
        ("{'Cookie': 'a=hunter2; b=c', 'x': 1}", "{'Cookie': '***', 'x': 1}"),
        ("Bearer abcdefghijklmnopqrstuvwxyz refused", "Bearer *** refused"),
        ("https://b/x?sv=1&sig=hunter2%3D&se=2", "https://b/x?sv=1&sig=***&se=2"),
        ("?X-Amz-Credential=AKIA%2Fx&X-Amz-Signature=ab12&y=1", "?X-Amz-Credential=***&X-Amz-Signature=***&y=1"),
        ("?Expires=1&Signature=hunter2&Key-Pair-Id=K", "?Expires=1&Signature=***&Key-Pair-Id=K"),
    ],
)
def test_header(text: str, masked: str) -> None:
    """Credentials and cookies are masked in headers, in whatever form they are printed, and signatures in URLs."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"got {JWT}, refused", "got ***, refused"),
        ("AKIAIOSFODNN7EXAMPLE is unknown", "*** is unknown"),
        ("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.", "***."),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789 is revoked", "*** is revoked"),
        ("glpat-abcdefghij0123456789", "***"),
        ("xoxb-123456789012-abcdefghij", "***"),
        ("sk_live_abcdefghij0123456789", "***"),
        (KEY.format("\n") + " is no key", "*** is no key"),
        (repr(KEY.format("\n")), "'***'"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2\nhunt", "***"),
        ("https://hooks.slack.com/services/T0/B0/hunter2 failed", "https://hooks.slack.com/services/*** failed"),
        ("https://discord.com/api/webhooks/1/hunter2", "https://discord.com/api/webhooks/***"),
        ("https://api.telegram.org/bot1:hunter2/send", "https://api.telegram.org/bot***"),
    ],
)
def test_known_form(text: str, masked: str) -> None:
    """What tells by its form that it is a secret is masked without any name."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("dump --password hunter2 --host h", "dump --password *** --host h"),
        ("dump --db-password=hunter2 --host h", "dump --db-password=*** --host h"),
        ("['dump', '--password', 'hunter2', '--host', 'h']", "['dump', '--password', '***', '--host', 'h']"),
        ("['dump', '--password=hunter2', '--host', 'h']", "['dump', '--password=***', '--host', 'h']"),
        ("cli --api-key hunter2", "cli --api-key ***"),
        ("mysqldump -uroot -phunter2 shop", "mysqldump -uroot -p*** shop"),
        ("['mysqldump', '-uroot', '-phunter2', 'shop']", "['mysqldump', '-uroot', '-p***', 'shop']"),
        ("curl -u bob:hunter2 https://x", "curl -u bob:*** https://x"),
    ],
)
def test_command_line(text: str, masked: str) -> None:
    """Options that give a secret are masked, in a line or in a list."""
    assert mask(text) == masked
