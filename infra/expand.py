#!/usr/bin/env python3
"""Expands template.yaml to plain CloudFormation as SAM does on deploy, for the linters that know no SAM.

Usage: expand.py [template.yaml] > expanded.json

Code and nested templates are files here and become objects in a bucket on `sam package`; their addresses are made up.
"""
import json
import os
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class ManagedPolicies:
    """The names of the managed policies that SAM attaches by itself; it would ask IAM for them."""

    names = ("AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess", "AWSXRayDaemonWriteAccess", "AWSLambdaVPCAccessExecutionRole")

    def load(self):
        folder = {"AWSLambdaBasicExecutionRole": "service-role/", "AWSLambdaVPCAccessExecutionRole": "service-role/"}
        return {name: f"arn:aws:iam::aws:policy/{folder.get(name, '')}{name}" for name in self.names}


def main(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file)
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if "CodeUri" in properties:
            properties["CodeUri"] = f"s3://packages/{name}.zip"
        if resource["Type"] == "AWS::Serverless::Application":
            properties["Location"] = f"https://s3.amazonaws.com/packages/{name}.template"
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    expanded = transform(template, {}, ManagedPolicies())
    json.dump(expanded, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "template.yaml")
