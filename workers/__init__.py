"""RQ workers. A job is a nudge; the rows of `work` are the truth."""
