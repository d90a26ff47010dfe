#!/bin/sh
# Puts a random value into each empty password and secret of .env, beside compose.yaml.
set -eu
cd "$(dirname -- "$0")/.."
[ -e .env ] || cp .env.example .env
chmod 600 .env
for name in SECRET_KEY WEBHOOK_SECRET ADMIN_PASSWORD MONGO_ROOT_PASSWORD MONGO_PASSWORD VALKEY_PASSWORD; do
    value=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
    sed -i.old "s/^$name=\$/$name=$value/" .env
done
rm -f .env.old
