"""What Python's OAuth libraries make of the plugin: reads one JSON request from each line of its
input, and writes one JSON line with what the library has returned, or has raised."""
import json
import os
import sys

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the tests speak http

import authlib.integrations.requests_client as authlib_client  # noqa: E402
import authlib.jose as authlib_jose  # noqa: E402
import jwt  # noqa: E402
import requests  # noqa: E402
import requests_oauthlib  # noqa: E402

ALGORITHMS = ["EdDSA", "ES256", "RS256"]


def metadata(issuer):
    return requests.get(issuer + "/.well-known/openid-configuration").json()


def session_of(ask):
    if ask["library"] == "Authlib":
        return authlib_client.OAuth2Session("app", token_endpoint_auth_method="none")
    return requests_oauthlib.OAuth2Session("app", token={"access_token": ask["access_token"]})


def refresh(ask):
    url = metadata(ask["issuer"])["token_endpoint"]
    return session_of(ask).refresh_token(url, refresh_token=ask["refresh_token"])


def revoke(ask):
    url = metadata(ask["issuer"])["revocation_endpoint"]
    answer = session_of(ask).revoke_token(url, token=ask["token"], token_type_hint=ask["hint"])
    answer.raise_for_status()
    return answer.status_code


def fetch(ask):
    """Calls a guarded route by a session that refreshes by itself when its token has expired."""
    url = metadata(ask["issuer"])["token_endpoint"]
    token = {"access_token": ask["access_token"], "refresh_token": ask["refresh_token"],
             "token_type": "Bearer", "expires_in": -1, "expires_at": 1}
    kept = []
    if ask["library"] == "Authlib":
        session = authlib_client.OAuth2Session(
            "app", token=token, token_endpoint=url, token_endpoint_auth_method="none",
            update_token=lambda token, refresh_token=None, access_token=None: kept.append(token))
    else:
        session = requests_oauthlib.OAuth2Session(
            "app", token=token, auto_refresh_url=url, token_updater=kept.append)
    answer = session.get(ask["url"])
    return {"status": answer.status_code, "body": answer.json(), "kept": kept}


def verify(ask):
    keys_at = metadata(ask["issuer"])["jwks_uri"]
    if ask["library"] == "PyJWT":
        key = jwt.PyJWKClient(keys_at).get_signing_key_from_jwt(ask["token"]).key
        return jwt.decode(ask["token"], key, algorithms=ALGORITHMS, issuer=ask["issuer"],
                          audience="orders", options={"require": ["exp", "sub"]})
    keys = authlib_jose.JsonWebKey.import_key_set(requests.get(keys_at).json())
    wanted = {"iss": {"essential": True, "value": ask["issuer"]},
              "aud": {"essential": True, "value": "orders"}}
    claims = authlib_jose.JsonWebToken(ALGORITHMS).decode(
        ask["token"], keys, claims_options=wanted)
    claims.validate()
    return claims


def run(ask):
    """Runs the code of a page, and calls what it defines."""
    names = {}
    exec(ask["code"], names)
    return names[ask["call"]](*ask["arguments"])


def renew(ask):
    """Runs the code of a page that is given a token, and returns what it has kept."""
    kept = []

    def keep(token, refresh_token=None, access_token=None):
        kept.append(token)

    exec(ask["code"], {"token": ask["token"], "issuer": ask["issuer"], "keep": keep})
    return kept


for line in sys.stdin:
    ask = json.loads(line)
    try:
        answer = {"result": globals()[ask["do"]](ask)}
    except Exception as error:
        answer = {"raised": type(error).__name__, "error": getattr(error, "error", None)}
    print(json.dumps(answer), flush=True)
