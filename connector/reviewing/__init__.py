"""STEP 2: run the rules over the books, keep what follows, and show how right it was. No network, nothing leaves."""
