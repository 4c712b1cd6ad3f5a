"""What is done to a release before anybody has it. Not part of the package."""
