"""What tests share: real servers, a faulty network, waiting, and the check that nothing is left behind."""
