"""An object storage for tests: moto, on a loopback port of its own, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import botocore.session

from tests.support.servers import Served, free_port

BUCKET = "planted-bucket-91b0"

REGION = "us-east-1"

ROOT = ("planted-root", "planted-root-secret")
"""The key of who may do everything; it is known to nobody but the tests."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """A user's access key."""

    id: str
    """Its id."""
    secret: str
    """Its secret, which must be shown nowhere."""


@dataclasses.dataclass(kw_only=True)
class Objects(Served):
    """An object storage, and how to reach it."""

    port: int
    """Its port on 127.0.0.1, the same whenever it is started again."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        """Return a client of the administrator's."""
        return botocore.session.get_session().create_client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ROOT[0],
            aws_secret_access_key=ROOT[1],
        )

    def start(self) -> None:
        """Start it, with an empty bucket, and without asking anybody for a key."""
        self.run(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port))
        self.await_answer(lambda: self._post("reset"))
        with contextlib.closing(self.client("s3")) as client:
            client.create_bucket(Bucket=BUCKET)

    def let_in(self, actions: Sequence[str]) -> Key:
        """From now on ask everybody for a key, and return that of a user who may do these things."""
        with contextlib.closing(self.client("iam")) as client:
            client.create_user(UserName="shop")
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            client.put_user_policy(UserName="shop", PolicyName="shop", PolicyDocument=document)
            made = client.create_access_key(UserName="shop")["AccessKey"]
        self._post("reset-auth", "0")
        return Key(id=made["AccessKeyId"], secret=made["SecretAccessKey"])

    def names(self) -> list[str]:
        """Return the names of the objects in the bucket."""
        with contextlib.closing(self.client("s3")) as client:
            return [found["Key"] for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ())]

    def _post(self, path: str, body: str = "") -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", f"/moto-api/{path}", body=body)
            return connection.getresponse().status == http.HTTPStatus.OK


def object_storage(folder: pathlib.Path) -> contextlib.AbstractContextManager[Objects]:
    """Run an object storage with an empty bucket."""
    return Objects(folder=folder, port=free_port()).started()
