"""What is measured of a clip: tuning, peaks, activity, noise. NumPy only, no net."""
