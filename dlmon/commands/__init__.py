"""What the commands do: functions over values and protocols that know neither typer nor rich."""
