from django.test import Client

from review.presentation.openapi import reference


def test_the_page_lists_every_operation_without_foreign_scripts(client: Client, db: None) -> None:
    spec = client.get("/api/v1/openapi.json").json()
    response = client.get("/api/v1/docs")
    assert response.status_code == 200
    for path, operations in spec["paths"].items():
        assert path in response.text
        for operation in operations.values():
            assert operation["operationId"] in response.text
    assert "cdn" not in response.text
    assert "curl -X POST" in response.text


def test_the_tables_say_type_limits_and_need() -> None:
    spec = {
        "paths": {
            "/things": {
                "post": {
                    "summary": "Make one",
                    "requestBody": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/In"}}
                        }
                    },
                    "responses": {"201": {"description": "Created"}},
                }
            }
        },
        "components": {
            "schemas": {
                "In": {
                    "properties": {
                        "name": {"type": "string", "maxLength": 5, "examples": ["Ana"]},
                        "tags": {"type": "array", "items": {"type": "string"}},
                        "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                        "kind": {"enum": ["a", "b"]},
                    },
                    "required": ["name"],
                }
            }
        },
    }
    [(group, [endpoint])] = reference(spec, "https://x.example").groups
    assert group == "other"
    fields = {field.name: (field.type, field.is_required, field.about) for field in endpoint.body}
    assert fields == {
        "name": ("text", True, "at most 5 characters"),
        "tags": ("list of text", False, ""),
        "size": ("whole number or null", False, ""),
        "kind": ("a · b", False, ""),
    }
    assert '-d \'{"name": "Ana"}\'' in endpoint.curl
    assert endpoint.curl.startswith("curl -X POST https://x.example/things")
