"""`isthmus photos`: index folders, search by a sentence, see what is covered. Thin: the work is in `isthmus.photos`.

Nothing heavy is imported before a command needs it: `--help` answers without torch.
"""

import typer

from isthmus.cli.photos import indexing, keeping, models, names, searching

app = typer.Typer(
    help="Find photos by saying what is in them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("index")(indexing.index_command)
app.command("text")(indexing.text_command)
app.command("watch")(indexing.watch_command)
app.command("search")(searching.search_command)
app.command("serve")(searching.serve_command)
app.command("mcp")(searching.mcp_command)
app.command("model")(models.model_command)
app.command("name")(names.name_command)
app.command("status")(keeping.status_command)
app.command("duplicates")(keeping.duplicates_command)
app.command("publish")(keeping.publish_command)
app.command("backup")(keeping.backup_command)
app.command("restore")(keeping.restore_command)
