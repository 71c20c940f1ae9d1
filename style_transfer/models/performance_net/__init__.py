"""PerformanceNet with a style: piano rolls to spectrograms of a clip's piano."""
