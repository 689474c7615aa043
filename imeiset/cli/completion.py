"""`imeiset completion`: what teaches a shell the commands, their options and where files stand."""

import click

from imeiset.cli.files import argument


@click.command("completion")
@argument("shell", "The shell that will read the script.", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script that lets a shell complete commands.

    \b
    echo 'eval "$(imeiset completion bash)"' >> ~/.bashrc
    echo 'eval "$(imeiset completion zsh)"' >> ~/.zshrc
    imeiset completion fish > ~/.config/fish/completions/imeiset.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "imeiset", "_IMEISET_COMPLETE").source())
