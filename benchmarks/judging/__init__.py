"""The parts of the judgement benchmark: accuracy on real books, part-payments, speed, and the plots."""
