"""Serves moto, which then demands credentials and asks its IAM, with one bucket and those who may and may not use it.

Prints one line of JSON that says who they are, and ends when its parent does: then standard input closes."""

import json
import os
import sys

os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "setup"
import boto3
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.server import ThreadedMotoServer

BUCKET, EXTERNAL_ID, SECRET = "reports", "waybill-org-1", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]


def client(service):
    return boto3.client(service, endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1")


def policy(actions, resource):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]})


iam, s3 = client("iam"), client("s3")
s3.create_bucket(Bucket=BUCKET)
s3.create_bucket(Bucket="versioned")
s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
everything = ["arn:aws:s3:::reports", "arn:aws:s3:::reports/*", "arn:aws:s3:::versioned", "arn:aws:s3:::versioned/*", "arn:aws:s3:::missing/*"]
ROLES = {"function": ["s3:*", "sts:*"], "writer": ["s3:*"], "put_only": ["s3:PutObject"], "reader": ["s3:GetObject", "s3:ListBucket"]}
keys = {}
for name, actions in ROLES.items():
    iam.create_user(UserName=name)
    resource = "*" if name == "function" else everything
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(actions, resource))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys[name] = [key["AccessKeyId"], key["SecretAccessKey"]]
trust = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:user/function"},
    "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}}]}
role = iam.create_role(RoleName="delivery", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
iam.put_role_policy(RoleName="delivery", PolicyName="p", PolicyDocument=policy(["s3:*"], everything))
secret = client("secretsmanager").create_secret(Name="signing", SecretString=SECRET)["ARN"]
secret_role = iam.create_role(RoleName="signing", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
iam.put_role_policy(RoleName="signing", PolicyName="p", PolicyDocument=policy(["secretsmanager:GetSecretValue"], "*"))
ActionAuthenticatorMixin.request_count = 0
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

started = {"port": port, "bucket": BUCKET, "keys": keys, "role_arn": role, "external_id": EXTERNAL_ID}
print(json.dumps({**started, "secret_arn": secret, "secret_role_arn": secret_role}), flush=True)
sys.stdin.buffer.read()
os._exit(0)
