"""What programs use that publish download events themselves: `from dlmon import Publisher`."""
