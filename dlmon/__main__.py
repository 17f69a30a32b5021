from dlmon.cli import main

main()
