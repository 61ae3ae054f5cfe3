from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orchestrator", "0032_tools_said_again"),
    ]

    operations = [
        migrations.AlterField(
            model_name="endpoint",
            name="provider",
            field=models.CharField(
                choices=[
                    (
                        "openai_compatible",
                        "Speaks the chat-completions protocol, such as Ollama and vLLM",
                    ),
                    ("openai", "OpenAI"),
                    ("anthropic", "Anthropic"),
                    ("google", "Google"),
                    ("mistral", "Mistral"),
                    ("groq", "Groq"),
                    ("http", "A service of your own"),
                ],
                max_length=30,
            ),
        ),
    ]
