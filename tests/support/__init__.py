"""What several tests share: games to play in, repositories, doubles of vendors, tables of faults."""
