from django.test import Client

from orchestrator.api.app import api


def test_the_contract_is_published(client: Client) -> None:
    spec = client.get("/api/v1/openapi.json").json()
    assert spec["openapi"].startswith("3.1")
    submit = spec["paths"]["/api/v1/proposals"]["post"]
    assert set(submit["responses"]) >= {
        "201",
        "400",
        "401",
        "403",
        "409",
        "413",
        "415",
        "422",
        "429",
    }
    assert "ProposalIn" in spec["components"]["schemas"]


def test_the_docs_page_names_every_operation(client: Client, db: None) -> None:
    page = client.get("/api/v1/docs").content.decode()
    for path in api.get_openapi_schema()["paths"]:
        assert path in page
