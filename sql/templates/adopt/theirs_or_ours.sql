CASE
    WHEN
        {conditions}
        THEN {theirs}
    ELSE {ours}
END
